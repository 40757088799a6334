package canarysplit_test

import (
	"strings"
	"testing"
)

func TestAccBadInput(t *testing.T) {
	t.Parallel()
	const prometheus = `prometheus { url = "http://127.0.0.1:1" }`
	tests := map[string]struct{ main, says string }{
		"over 100":           {config(101, "", ""), "between 0 and 100"},
		"below 0":            {config(-1, "", ""), "between 0 and 100"},
		"no steps":           {config(25, "steps = 0", ""), "steps"},
		"no duration":        {config(25, `gradual_duration = "0s"`, ""), "gradual_duration is 0s"},
		"shorter than steps": {config(25, `gradual_duration = "3s"`, ""), "too short for 5 steps"},
		"not a duration":     {config(25, `gradual_duration = "soon"`, ""), "not a valid duration"},
		"unknown version": {strings.ReplaceAll(config(25, "", ""), canary, "v9"),
			"The planner knows: v1.1.0, v1.2.2, v1.2.3-canary"},
		"not the canary": {strings.ReplaceAll(config(25, "", ""), canary, "v1.2.2"),
			"Version v1.2.2 is not a canary"},
		"down":     {strings.ReplaceAll(config(25, "", ""), canary, "v1.1.0"), "is not deployed"},
		"too fine": {config(25.001, "", ""), "in steps of 0.01"},
		"no bound": {config(25, `guardrail {
  name  = "x"
  query = "up"
}`, ""), "It has no bound"},
		"no source": {config(25, `guardrail {
  name = "x"
  max  = 1
}`, ""),
			"It has 0 of query, http and elasticsearch"},
		"interval longer than a step": {config(25, `gradual_duration = "10s"
steps = 2
`+guardrail("query = \"up\"\n    max = 1\n    interval = \"6s\""), prometheus),
			"Its interval is 6s, and a step lasts 5s, so nothing would be read during a step"},
		"negative limit": {config(25, guardrail("query = \"up\"\n    max = 1\n    failure_limit = -1"), prometheus),
			"failure_limit"},
		"no samples needed": {config(25,
			guardrail("query = \"up\"\n    max = 1\n    samples_query = \"up\"\n    min_samples = 0"), prometheus),
			"min_samples"},
		"minimum without samples": {config(25, guardrail("query = \"up\"\n    max = 1\n    min_samples = 100"), prometheus),
			"It has min_samples and no samples_query that counts them"},
		"stable without canary": {config(25, guardrail("stable_query = \"up\"\n    max_increase_percent = 5\n    "+
			"http { url = \"http://localhost\" }"), prometheus),
			"It has a stable_query and no query for the version that is compared with it"},
		"stable without percentage": {config(25, guardrail("query = \"up\"\n    max = 1\n    stable_query = \"up\""),
			prometheus), "neither max_drop_percent nor max_increase_percent"},
		"two sources": {config(25,
			`guardrail {
  name  = "x"
  query = "up"
  max   = 1
  http { url = "http://localhost" }
}`, ""),
			"It has 2 of query"},
	}
	r := newRig(t)
	for name, tt := range tests {
		r.Write("main.tf", tt.main)
		if out := r.MustFail("plan", "-no-color"); !strings.Contains(flat(out), tt.says) {
			t.Errorf("%s: the error lacks %q:\n%s", name, tt.says, out)
		}
	}
	if r.share(t) != 10 {
		t.Errorf("the canary has %g%%", r.share(t))
	}
}

// TestAccOneMistakeHasOneError refuses a share above 100%, which both the schema and the playbook check, once.
func TestAccOneMistakeHasOneError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", strings.Replace(config(25, "", ""), "= 25", "= var.share", 1)+"\nvariable \"share\" {\n  "+
		"default = 101\n}\n")
	out := r.MustFail("plan", "-no-color")
	if strings.Count(out, "Error: ") != 1 || !strings.Contains(out, "between 0 and 100") {
		t.Errorf("101%%:\n%s", out)
	}
}
