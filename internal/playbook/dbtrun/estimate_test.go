package dbtrun

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// chain is three models: b and c read a.
func chain() dbt.Listing {
	reads := []dbt.Parent{{UniqueID: "model.s.a"}}
	return dbt.Listing{Threads: 2, Models: []dbt.Model{{UniqueID: "model.s.b", Parents: reads}, {UniqueID: "model.s.a"},
		{UniqueID: "model.s.c", Parents: reads}}}
}

func TestEstimateFollowsTheHistory(t *testing.T) {
	t.Parallel()
	run := func(status, params string, seconds time.Duration, a, b, c string) playbook.Past {
		return playbook.Past{Status: status, Params: json.RawMessage(params), Duration: seconds * time.Second,
			Details: map[string]string{"model.s.a": a, "model.s.b": b, "model.s.c": c}}
	}
	past := []playbook.Past{
		run("success", `{}`, 175, "success in 60.0 s, 5 rows", "success in 100.0 s", "success in 30.0 s"),
		run("success", `{}`, 210, "success in 80.0 s", "success in 120.0 s", "success in 40.0 s"),
		run("failed", `{}`, 500, "success in 70.0 s", "error in 400.0 s", "skipped in 0.0 s"),
		run("success", `{"full_refresh":true}`, 5000, "success in 2000.0 s", "success in 2000.0 s", "success in 2000.0 s"),
	}
	custom := playbook.DefaultEstimates()
	custom.DBTSecondsPerModel = 10
	for name, test := range map[string]struct {
		past      []playbook.Past
		estimates playbook.Estimates
		threads   int
		from, to  time.Duration
		origin    string
		measured  bool
	}{
		"no history": {nil, playbook.DefaultEstimates(), 0, 0, 900 * time.Second, "default, no history", false},
		"configured": {nil, custom, 0, 0, 30 * time.Second, "configured, no history", false},
		// 60 s for a, then 100 s for b beside 30 s for c, and 10 s to 15 s for everything else.
		"two threads": {past, playbook.DefaultEstimates(), 0, 170 * time.Second, 215 * time.Second,
			"3 runs, default cost", true},
		"one thread": {past[:1], playbook.DefaultEstimates(), 1, 190 * time.Second, 190 * time.Second,
			"1 run, default cost", true},
		"a new model": {past[2:3], custom, 0, 80 * time.Second, 80 * time.Second,
			"1 run, configured for 2 models without history, configured cost", false},
	} {
		read := func(context.Context, int) ([]playbook.Past, error) { return test.past, nil }
		ctx := playbook.WithPast(t.Context(), read)
		var p playbook.Preview
		a := action{estimates: test.estimates, selection: dbt.Selection{Threads: test.threads}}
		if err := a.estimate(ctx, chain(), &p); err != nil {
			t.Fatal(err)
		}
		if p.DurationFrom != test.from || p.Duration != test.to || p.EstimateOrigin != test.origin ||
			p.Measured != test.measured {
			t.Errorf("%s: %s to %s, %q, measured %t", name, p.DurationFrom, p.Duration, p.EstimateOrigin, p.Measured)
		}
	}
}
