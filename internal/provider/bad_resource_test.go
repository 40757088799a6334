package provider_test

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
)

// with returns base with more: a valid configuration, except for the tested value.
func with(base, more values) values {
	all := values{}
	for _, from := range []values{base, more} {
		for name, v := range from {
			all[name] = v
		}
	}
	return all
}

func dbtRun(more values) badInput {
	return badInput{resource: "remediation_dbt_run", values: with(values{"models": list{"inbox_emails"}}, more)}
}

func resolution(more values) badInput {
	return badInput{resource: "remediation_incident_resolution", values: with(values{"incident_id": "7"}, more)}
}

func split(more values) badInput {
	return badInput{resource: "remediation_canary_split", values: with(values{"version": "v2", "target_percent": 25},
		more)}
}

// mustSay sets the expected message and attribute.
func (c badInput) mustSay(says, at string) badInput {
	c.says, c.at = says, at
	return c
}

// onTarget marks an input that only a read of the target can refuse.
func (c badInput) onTarget() badInput {
	c.live = true
	return c
}

// badCommon are invalid values of the attributes that all resources have.
func badCommon() map[string]badInput {
	const signature = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"
	approvals := func(all ...any) badInput { return dbtRun(values{"approval": list(all)}) }
	lead := values{"approved_by": "lead@example.com"}
	rail := func(change values) badInput {
		return split(values{"guardrail": list{with(values{"name": "errors", "query": "up", "max": 1}, change)}})
	}
	search := func(change values) badInput {
		return rail(values{"query": nil, "elasticsearch": with(values{"index": "kb", "measure": "hits"}, change)})
	}
	web := func(change values) badInput {
		return rail(values{"query": nil, "http": with(values{"url": "https://a"}, change)})
	}
	return map[string]badInput{
		"incident empty": dbtRun(values{"incident_id": ""}).mustSay("is empty", "incident_id"),
		"incident of two lines": dbtRun(values{"incident_id": "INC-1\nApproval  not needed"}).mustSay("line break",
			"incident_id"),
		"resolution of nothing":       resolution(values{"incident_id": nil}).mustSay("required", "incident_id"),
		"resolution of a path":        resolution(values{"incident_id": ".."}).mustSay("relative path", "incident_id"),
		"resolution notes empty":      resolution(values{"notes": ""}).mustSay("at least 1", "notes"),
		"resolution notes of blanks":  resolution(values{"notes": " \n "}).mustSay("The notes are empty", "notes"),
		"resolution notes of escapes": resolution(values{"notes": "a\x1b[31m"}).mustSay("can't be seen", "notes"),
		"resolution notes too long": resolution(values{"notes": strings.Repeat("a",
			10_001)}).mustSay("At most 10000 bytes",
			"notes"),
		"resolution can't be undone": resolution(values{"on_destroy": "rollback"}).mustSay("can't be undone",
			"on_destroy"),
		"resolution without a service": resolution(nil).mustSay("no incidents block", "").onTarget(),
		"after no digest": dbtRun(values{"after": list{nil, "contain"}}).mustSay("must be preview.digest of another",
			"after[1]"),
		"after nobody": split(values{"after": list{"sha256:" + strings.Repeat("a", 64)}}).mustSay(
			"Neither this run nor the journal knows", "after[0]").onTarget(),
		"approver empty": dbtRun(values{"approved_by": ""}).mustSay("is empty", "approved_by"),
		"approver with a blank": dbtRun(values{"approved_by": "a@example.com "}).mustSay("begins or ends with a space",
			"approved_by"),
		"approver turned around": dbtRun(values{"approved_by": "a\u202emoc.elpmaxe@b"}).mustSay("can't be seen",
			"approved_by"),
		"approver too long": dbtRun(values{"approved_by": strings.Repeat("a",
			longLine)}).mustSay("longer than 255", "approved_by"),
		"approvals of a crowd": approvals(slices.Repeat([]any{lead}, 21)...).mustSay("at most 20", "approval"),
		"approval of nobody":   approvals(values{"ticket": "CHG-1"}).mustSay("has approved_by", "approval[0]"),
		"approval with a blank": approvals(lead,
			values{"approved_by": " b@example.com"}).mustSay("begins or ends with a space", "approval[1].approved_by"),
		"approval twice": approvals(lead, values{"approved_by": "b@example.com"},
			lead).mustSay("Duplicate approval", "approval[2]"),
		"approval at a day": approvals(with(lead, values{"approved_at": "2026-01-31"})).mustSay("Invalid time",
			"approval[0].approved_at"),
		"approval of no ticket": approvals(with(lead, values{"ticket": "\t"})).mustSay("is empty",
			"approval[0].ticket"),
		"signature of words": approvals(with(lead,
			values{"signature": "signed, the lead"})).mustSay("as ssh-keygen -Y sign writes it",
			"approval[0].signature"),
		"signature of nothing": approvals(with(lead, values{"signature": signature})).mustSay("can't be read",
			"approval[0].signature"),
		"signature too long": approvals(with(lead,
			values{"signature": strings.Repeat("A", 17<<10)})).mustSay("between 1 and 16384", "approval[0].signature"),
		"on_destroy": dbtRun(values{"on_destroy": "explode"}).mustSay(`must be one of: ["keep" "rollback"]`,
			"on_destroy"),
		"no way back": dbtRun(values{"on_destroy": "rollback"}).mustSay("rerun_dbt can't be undone",
			"on_destroy"),
		"digest cut off": dbtRun(values{"expected_digest": "sha256:9604eccc"}).mustSay("20 or more hexadecimal digits",
			"expected_digest"),
		"digest in capitals": dbtRun(values{"expected_digest": "sha256:" +
			strings.Repeat("AB", 32)}).mustSay("20 or more hexadecimal digits", "expected_digest"),
		"digest of 19 digits": dbtRun(values{"expected_digest": strings.Repeat("a", 19)}).mustSay("20 or more "+
			"hexadecimal digits", "expected_digest"),
		"digest empty": dbtRun(values{"expected_digest": ""}).mustSay("20 or more hexadecimal digits",
			"expected_digest"),
		"timeout in words": dbtRun(values{"timeouts": values{"create": "soon"}}).mustSay("at least 1s",
			"timeouts.create"),
		"timeout zero": dbtRun(values{"timeouts": values{"update": "0s"}}).mustSay("at least 1s, got \"0s\"",
			"timeouts.update"),
		"timeout negative": dbtRun(values{"timeouts": values{"delete": "-5m"}}).mustSay("at least 1s, got \"-5m\"",
			"timeouts.delete"),
		"timeout huge": dbtRun(values{"timeouts": values{"create": "99999999999h"}}).mustSay("at least 1s",
			"timeouts.create"),

		"rail without name": rail(values{"name": ""}).mustSay("It has no name", "guardrail[0].name"),
		"rail of two lines": rail(values{"name": "a\nb"}).mustSay("Its name contains a line break",
			"guardrail[0].name"),
		"rail twice": split(values{"guardrail": list{values{"name": "a", "query": "up", "max": 1},
			values{"name": "a", "query": "up", "max": 2}}}).mustSay("have this name", "guardrail[1].name"),
		"rail without source": rail(values{"query": nil}).mustSay("0 of query, http and elasticsearch",
			"guardrail[0]"),
		"rail of two sources": rail(values{"http": values{"url": "https://a"}}).mustSay("2 of query, http and "+
			"elasticsearch", "guardrail[0]"),
		"rail without bound": rail(values{"max": nil}).mustSay("It has no bound", "guardrail[0]"),
		"rail upside down":   rail(values{"min": 2}).mustSay("Its min is above its max", "guardrail[0].min"),
		"rail drop": rail(values{"max_drop_percent": -1}).mustSay("between 0 and",
			"guardrail[0].max_drop_percent"),
		"rail increase": rail(values{"max_increase_percent": -0.5}).mustSay("between 0 and",
			"guardrail[0].max_increase_percent"),
		"rail endless max": rail(values{"max": huge}).mustSay("fits 64 bits, got: 1e+400", "guardrail[0].max"),
		"rail endless min": rail(values{"min": json.Number("-1e400")}).mustSay("fits 64 bits, got: -1e+400",
			"guardrail[0].min"),
		"rail wait in words": rail(values{"wait": "a while"}).mustSay("not a duration such as 5m",
			"guardrail[0].wait"),
		"rail wait negative": rail(values{"wait": "-5m"}).mustSay("not between 0s and 24h", "guardrail[0].wait"),
		"rail wait too long": rail(values{"wait": "25h"}).mustSay("not between 0s and 24h", "guardrail[0].wait"),
		"rail breach": rail(values{"on_breach": "panic"}).mustSay("must be one of",
			"guardrail[0].on_breach"),
		"rail back where none": dbtRun(values{"guardrail": list{values{"name": "a", "query": "up", "max": 1,
			"on_breach": "rollback"}}}).mustSay("can't be undone", "guardrail[0].on_breach"),
		"rail read too often":    rail(values{"interval": "0s"}).mustSay("not between 1s", "guardrail[0].interval"),
		"rail interval in words": rail(values{"interval": "often"}).mustSay("not a duration", "guardrail[0].interval"),
		"rail read too rarely": rail(values{"query": nil, "http": values{"url": "https://a"},
			"interval": "3m"}).mustSay("not read often enough", "guardrail[0].interval").onTarget(),
		"rail delayed too long": rail(values{"initial_delay": "25h"}).mustSay("not between 0s and",
			"guardrail[0].initial_delay"),
		"rail failures below 0": rail(values{"failure_limit": -1}).mustSay("between 0 and 1000",
			"guardrail[0].failure_limit"),
		"rail half an error": rail(values{"consecutive_error_limit": 0.5}).mustSay("whole number",
			"guardrail[0].consecutive_error_limit"),
		"rail too inconclusive": rail(values{"inconclusive_limit": 1001}).mustSay("between 0 and 1000",
			"guardrail[0].inconclusive_limit"),
		"rail samples of nothing": rail(values{"min_samples": 10}).mustSay("no samples_query",
			"guardrail[0].min_samples"),
		"rail samples of zero": rail(values{"samples_query": "up", "min_samples": 0}).mustSay("between 1 and",
			"guardrail[0].min_samples"),
		"rail short warning": rail(values{"accept_warnings": list{"store"}}).mustSay("at least 10",
			"guardrail[0].accept_warnings[0]"),
		"rail warnings of nothing": rail(values{"accept_warnings": list{"a store is missing"}, "query": nil,
			"http": values{"url": "http://localhost/"}}).mustSay("only Prometheus answers",
			"guardrail[0].accept_warnings"),
		"rail without a minimum": rail(values{"samples_query": "up"}).mustSay("no min_samples",
			"guardrail[0].samples_query"),
		"rail stable alone": rail(values{"query": nil, "http": values{"url": "https://a"}, "stable_query": "up",
			"max_drop_percent": 1}).mustSay("no query for the version", "guardrail[0].stable_query"),
		"rail stable for nothing": rail(values{"stable_query": "up"}).mustSay("which compare with it",
			"guardrail[0].stable_query"),
		"rail query empty": rail(values{"query": ""}).mustSay("at least 1", "guardrail[0].query"),
		"rail of no Prometheus": rail(nil).mustSay("provider has no prometheus.url",
			"guardrail[0].query").onTarget(),
		"rail of no cluster": search(nil).mustSay("provider has no elasticsearch.endpoints",
			"guardrail[0].elasticsearch").onTarget(),
		"rail of a file": web(values{"url": "file:///etc/passwd"}).mustSay("does not begin with http://",
			"guardrail[0].http.url"),
		"rail of the cloud": web(values{"url": "http://[fd00:ec2::254]/latest"}).mustSay("metadata service",
			"guardrail[0].http").onTarget(),
		"rail with a password": web(values{"url": "https://u:p@a/metric"}).mustSay("it contains a user name or a "+
			"password", "guardrail[0].http.url"),
		"rail pointer": web(values{"json_pointer": "stats.error_rate"}).mustSay("does not begin with a slash",
			"guardrail[0].http.json_pointer"),
		"rail of another path": search(values{"index": "kb/_delete_by_query"}).mustSay("not a name or a pattern",
			"guardrail[0].elasticsearch.index"),
		"rail of an escaped path": search(values{"index": "x%2f.."}).mustSay("not a name or a pattern",
			"guardrail[0].elasticsearch.index"),
		"rail search no JSON": search(values{"body": "{query"}).mustSay("not a JSON object",
			"guardrail[0].elasticsearch.body"),
		"rail search of a list": search(values{"body": "[]"}).mustSay("not a JSON object",
			"guardrail[0].elasticsearch.body"),
		"rail measure": search(values{"measure": "misses"}).mustSay("use took_ms or hits",
			"guardrail[0].elasticsearch.measure"),
		"import of a name": badInput{resource: "remediation_dbt_run",
			imports: "triage"}.mustSay("such as 4f9c2a17-12", ""),
		"import of nothing": badInput{resource: "remediation_dbt_run", imports: "-1"}.mustSay("such as 4f9c2a17-12",
			""),
		"import of one unknown": badInput{resource: "remediation_cache_clear",
			imports: "7"}.mustSay("There is no execution \"7\"", ""),
		"bad beside an unknown": dbtRun(values{"threads": inprocess.Unknown{},
			"approved_by": " "}).mustSay("is empty", "approved_by"),
		"bad beside an unknown 2": split(values{"version": inprocess.Unknown{},
			"timeouts": values{"create": "0s"}}).mustSay("at least 1s", "timeouts.create"),
	}
}

// badResources are bad values of what one resource has.
func badResources() map[string]badInput {
	deps := func(v values) badInput { return badInput{resource: "remediation_dbt_deps", values: v} }
	clear := func(v values) badInput {
		return badInput{resource: "remediation_cache_clear", values: with(values{"index_name": "knowledge_base"}, v)}
	}
	back := func(v values) badInput {
		return badInput{resource: "remediation_planner_rollback",
			values: with(values{"from_version": "v2", "to_version": "v1"}, v)}
	}
	deploy := func(v values) badInput {
		return badInput{resource: "remediation_planner_deploy", values: with(values{"version": "v2"}, v)}
	}
	gate := func(v values, rails ...any) badInput {
		return badInput{resource: "remediation_metric_gate", values: with(values{"guardrail": rails}, v)}
	}
	rail := func(v values) values {
		return with(values{"name": "errors", "query": "up", "max": 1}, v)
	}
	return map[string]badInput{
		"gate without guardrails":   gate(nil).mustSay("A gate without guardrails has nothing to read", "guardrail"),
		"gate with a negative wait": gate(values{"wait": "-5m"}, rail(nil)).mustSay("between", "wait"),
		"gate with an endless wait": gate(values{"wait": "25h"}, rail(nil)).mustSay("between", "wait"),
		"gate that rolls back": gate(nil, rail(nil), rail(values{"name": "b", "on_breach": "rollback"})).mustSay(
			"nothing to roll back or hold", "guardrail[1].on_breach"),
		"gate with a second wait": gate(nil, rail(values{"wait": "5m"})).mustSay("read after its wait",
			"guardrail[0].wait"),
		"gate with a percentage of a page": gate(nil, rail(values{"query": nil, "http": values{"url": "https://a"},
			"max_drop_percent": 5})).mustSay("only Prometheus can be asked about an earlier time",
			"guardrail[0].max_drop_percent"),
		"gate without a Prometheus": gate(nil, rail(nil)).mustSay("PROMETHEUS_URL is not set",
			"guardrail[0].query").onTarget(),
		"models none":            dbtRun(values{"models": list{}}).mustSay("models is empty", "models"),
		"models missing":         dbtRun(values{"models": nil}).mustSay("No model is selected", "models"),
		"selector beside models": dbtRun(values{"selector": "nightly"}).mustSay("Conflicting selections", "selector"),
		"state a flag":           dbtRun(values{"state": "-x"}).mustSay("begins with -", "state"),
		"defer to nothing":       dbtRun(values{"defer": true}).mustSay("state is not set", "state"),
		"retry with another argument": dbtRun(values{"models": nil, "retry_failed": true, "upstream": true}).mustSay(
			"uses the arguments of the last execution", "retry_failed"),
		"window half open": dbtRun(values{"event_time_start": "2025-10-01"}).mustSay("Set both or none",
			"event_time_start"),
		"window in words": dbtRun(values{"event_time_start": "2025-10-01", "event_time_end": "soon"}).mustSay(
			"event_time_end is", "event_time_end"),
		"vars of deps": badInput{resource: "remediation_dbt_deps", values: values{"vars": "x"}}.mustSay("Expected an "+
			"object", "vars"),
		"models twice": dbtRun(values{"models": list{"a", "b", "a"}}).mustSay("it is a duplicate",
			"models[2]"),
		"models a null":       dbtRun(values{"models": list{"a", nil}}).mustSay("it is empty", "models[1]"),
		"models a blank":      dbtRun(values{"models": list{" "}}).mustSay("it is empty", "models[0]"),
		"models two in one":   dbtRun(values{"models": list{"a b"}}).mustSay("contains a space", "models[0]"),
		"models a wide blank": dbtRun(values{"models": list{"a\u00a0b"}}).mustSay("contains a space", "models[0]"),
		"models a null char":  dbtRun(values{"models": list{"a\x00b"}}).mustSay("contains a space", "models[0]"),
		"models a flag": dbtRun(values{"models": list{"a",
			"--full-refresh"}}).mustSay("dbt would take it for a flag", "models[1]"),
		"models upstream of both": dbtRun(values{"models": list{"a,b"},
			"upstream": true}).mustSay("upstream can't be combined with an intersection", "models[0]"),
		"exclude a flag": dbtRun(values{"exclude": list{"-x"}}).mustSay("dbt would take it for a flag",
			"exclude[0]"),
		"exclude twice":    dbtRun(values{"exclude": list{"a", "a"}}).mustSay("it is a duplicate", "exclude[1]"),
		"threads zero":     dbtRun(values{"threads": 0}).mustSay("Must be between 1 and 256", "threads"),
		"threads negative": dbtRun(values{"threads": -4}).mustSay("Must be between 1 and 256", "threads"),
		"threads too many": dbtRun(values{"threads": 257}).mustSay("Use 1 to 256", "threads"),
		"threads in part":  dbtRun(values{"threads": 1.5}).mustSay("Expected a whole number", "threads"),
		"threads huge":     dbtRun(values{"threads": huge}).mustSay("threads is the number 1e+400", "threads"),
		"vars of words":    dbtRun(values{"vars": "days: 3"}).mustSay("Expected an object", "vars"),
		"vars a list":      dbtRun(values{"vars": list{"days"}}).mustSay("{ days = 3 }, got a list", "vars"),
		"vars without a name": dbtRun(values{"vars": values{"": 1}}).mustSay("A variable has no name",
			"vars[\"\"]"),
		"task_id empty":   dbtRun(values{"task_id": ""}).mustSay("is empty", "task_id"),
		"task_id of deps": deps(values{"task_id": "CHG-1\nCHG-2"}).mustSay("line break", "task_id"),
		"project of nobody": badInput{block: dbt(values{"project_dir": "/nowhere"}), resource: "remediation_dbt_run",
			values: values{"models": list{"a"}}}.mustSay("Provider setting: dbt.project_dir", "").onTarget(),

		"index_name empty": clear(values{"index_name": ""}).mustSay("at least 1", "index_name"),
		"index_name all": clear(values{"index_name": "_all"}).mustSay("It refers to every index of the cluster",
			"index_name"),
		"index_name star": clear(values{"index_name": "a,*"}).mustSay("It refers to every index of the cluster",
			"index_name"),
		"index_name a path": clear(values{"index_name": "kb/_doc"}).mustSay("No index can have this name",
			"index_name"),
		"index_name up": clear(values{"index_name": "../_cluster"}).mustSay("No index can have this name",
			"index_name"),
		"index_name capital":   clear(values{"index_name": "KB"}).mustSay("No index can have this name", "index_name"),
		"index_name of a line": clear(values{"index_name": "kb\n"}).mustSay("line break", "index_name"),
		"index_name elsewhere": clear(values{"index_name": "other:kb"}).mustSay("other clusters are not supported",
			"index_name"),
		"index_name subtracts": clear(values{"index_name": "kb*,-kb1"}).mustSay("excludes names from a pattern",
			"index_name"),
		"index_name endless": clear(values{"index_name": strings.Repeat("a", longLine)}).mustSay("longer than 255",
			"index_name"),
		"cache_types none": clear(values{"cache_types": list{}}).mustSay("at least 1", "cache_types"),
		"cache_types unknown": clear(values{"cache_types": list{"filter"}}).mustSay(`There is no cache type "filter"`,
			"cache_types"),
		"fields none":  clear(values{"fields": list{}}).mustSay("at least 1", "fields"),
		"fields twice": clear(values{"fields": list{"title", "title"}}).mustSay("Duplicate", "fields"),
		"fields two in one": clear(values{"fields": list{"title", "a,b"}}).mustSay("not the name of a field",
			"fields[1]"),
		"fields of no cache": clear(values{"cache_types": list{"query"},
			"fields": list{"title"}}).mustSay("Only the field data cache is kept per field", "fields"),
		"no cluster":            clear(nil).mustSay("No Elasticsearch is configured", "").onTarget(),
		"split version":         split(values{"version": ""}).mustSay("length must be at least 1", "version"),
		"split version missing": split(values{"version": nil}).mustSay("required", "version"),
		"split version up":      split(values{"version": ".."}).mustSay("leads to another path", "version"),
		"split version hidden":  split(values{"version": "v2\u200b"}).mustSay("can't be seen", "version"),
		"split percent over":    split(values{"target_percent": 101}).mustSay("between 0", "target_percent"),
		"split percent under":   split(values{"target_percent": -1}).mustSay("between 0", "target_percent"),
		"split percent huge":    split(values{"target_percent": huge}).mustSay("got: 1e+400", "target_percent"),
		"split percent missing": split(values{"target_percent": nil}).mustSay("required", "target_percent"),
		"split for no time":     split(values{"gradual_duration": "0s"}).mustSay("more than 0", "gradual_duration"),
		"split back in time":    split(values{"gradual_duration": "-10m"}).mustSay("more than 0", "gradual_duration"),
		"split for days":        split(values{"gradual_duration": "48h"}).mustSay("at most 24h", "gradual_duration"),
		"split in words": split(values{"gradual_duration": "ten minutes"}).mustSay("Write a duration such as "+
			"10m", "gradual_duration"),
		"split in a hurry": split(values{"gradual_duration": "1s"}).mustSay("too short for 5 steps",
			"gradual_duration"),
		"split without steps": split(values{"steps": 0}).mustSay("between 1", "steps"),
		"split of many steps": split(values{"steps": 101}).mustSay("between 1", "steps"),
		"split of half a step": split(values{"steps": 0.5}).mustSay("a whole number between 1 and 100, got: 0.5",
			"steps"),
		"split on_drift": split(values{"on_drift": "ignore"}).mustSay(`must be one of: ["report" "reconcile"]`,
			"on_drift"),
		"split finer than set": split(values{"target_percent": 33.333}).mustSay("steps of 0.01 percentage points",
			"target_percent").onTarget(),
		"split of the stable": split(values{"version": "v1"}).mustSay("Version v1 is not a canary",
			"version").onTarget(),
		"split of a stranger": split(values{"version": "v3"}).mustSay("The planner knows: v1, v2",
			"version").onTarget(),

		"back from nothing": back(values{"from_version": ""}).mustSay("length must be at least 1",
			"from_version"),
		"back to itself": back(values{"to_version": "v2"}).mustSay("from_version and to_version are both v2",
			"to_version"),
		"back to a blank": back(values{"to_version": " v1"}).mustSay("begins or ends with a space", "to_version"),
		"back in words": back(values{"gradual_duration": "slowly"}).mustSay("Write a duration such as 10m",
			"gradual_duration"),
		"back without steps": back(values{"steps": -3}).mustSay("between 1", "steps"),
		"back from strangers": back(values{"from_version": "v7"}).mustSay("The planner knows: v1, v2",
			"from_version").onTarget(),
		"back to strangers": back(values{"to_version": "v7"}).mustSay("The planner knows: v1, v2",
			"to_version").onTarget(),
		"deploy a path": deploy(values{"version": "."}).mustSay("leads to another path", "version"),
		"deploy over":   deploy(values{"initial_percent": 100.5}).mustSay("between 0", "initial_percent"),
		"deploy under":  deploy(values{"initial_percent": -0.1}).mustSay("between 0", "initial_percent"),
		"deploy twice": deploy(values{"initial_percent": 20}).mustSay("Version v2 is deployed already",
			"version").onTarget(),
		"deploy a stranger": deploy(values{"version": "v4"}).mustSay("The planner knows: v1, v2",
			"version").onTarget(),
	}
}
