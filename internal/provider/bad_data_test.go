package provider_test

// badData are bad values of data sources.
func badData() map[string]badInput {
	history := func(v values) badInput { return badInput{data: "remediation_action_history", values: v} }
	report := func(v values) badInput { return badInput{data: "remediation_report", values: v} }
	preview := func(v values) badInput {
		return badInput{data: "remediation_preview",
			values: with(values{"action_type": "rerun_dbt", "params": `{"models": ["a"]}`}, v)}
	}
	incident := func(id any) badInput {
		return badInput{data: "remediation_incident", values: values{"incident_id": id}}
	}
	return map[string]badInput{
		"incident missing":           incident(nil).mustSay("required", "incident_id"),
		"incident of a path":         incident("..").mustSay("is a relative path", "incident_id"),
		"incident without a service": incident("7").mustSay("no incidents block", ""),
		"incident empty":             history(values{"incident_id": ""}).mustSay("is empty", "incident_id"),
		"playbook empty":             history(values{"action_type": ""}).mustSay("is empty", "action_type"),
		"playbook unknown": history(values{"action_type": "rerun-dbt"}).mustSay("rerun-dbt is not in the catalogue",
			"action_type"),
		"target empty":    history(values{"target": " "}).mustSay("is empty", "target"),
		"since a day":     history(values{"since": "2026-01-31"}).mustSay("Write a time such as", "since"),
		"until yesterday": history(values{"until": "yesterday"}).mustSay("Write a time such as", "until"),
		"until before since": history(values{"since": "2026-02-01T00:00:00Z",
			"until": "2026-01-01T00:00:00Z"}).mustSay("since is not before until", "until"),
		"report on no incident": report(values{"incident_id": ""}).mustSay("is empty", "incident_id"),
		"report on no playbook": report(values{"action_type": ""}).mustSay("is empty", "action_type"),
		"report on no target":   report(values{"target": " "}).mustSay("is empty", "target"),
		"report since a day":    report(values{"since": "2026-01-31"}).mustSay("Write a time such as", "since"),
		"report until then":     report(values{"until": "yesterday"}).mustSay("Write a time such as", "until"),
		"report of nothing":     report(values{"limit": 0}).mustSay("between 1 and 10000", "limit"),
		"limit zero":            history(values{"limit": 0}).mustSay("between 1 and 10000", "limit"),
		"limit negative":        history(values{"limit": -1}).mustSay("between 1 and 10000", "limit"),
		"limit of everything":   history(values{"limit": 10001}).mustSay("between 1 and 10000", "limit"),
		"preview of nothing":    preview(values{"action_type": ""}).mustSay("is empty", "action_type"),
		"preview unknown": preview(values{"action_type": "reboot"}).mustSay("reboot is not in the catalogue",
			"action_type"),
		"preview without a bound": preview(values{"guardrail": list{values{"name": "a", "query": "up"}}}).mustSay(
			"has no bound", "guardrail[0]"),
		"preview with a bad bound": preview(values{"guardrail": list{values{"name": "a", "query": "up",
			"max_drop_percent": -1}}}).mustSay("between 0 and", "guardrail[0].max_drop_percent"),
		"preview of an address": preview(values{"guardrail": list{values{"name": "a", "max": 1,
			"http": values{}}}}).mustSay("is required", "guardrail[0].http.url"),
		"preview timeout": preview(values{"timeouts": values{"create": "soon"}}).mustSay("at least 1s",
			"timeouts.create"),
		"preview on_destroy": preview(values{"on_destroy": "explode"}).mustSay("must be one of", "on_destroy"),
		"preview approved twice": preview(values{"approval": list{values{"approved_by": "a"},
			values{"approved_by": "a"}}}).mustSay("Duplicate approval", "approval[1]"),
		"params missing": preview(values{"params": nil}).mustSay("required", "params"),
		"params empty":   preview(values{"params": ""}).mustSay("expected a JSON object", "params"),
		"params in HCL":  preview(values{"params": `models = ["a"]`}).mustSay("expected a JSON object", "params"),
		"params null":    preview(values{"params": "null"}).mustSay("expected a JSON object", "params"),
		"params of two": preview(values{"params": `{"models": ["a"]} {}`}).mustSay("unexpected data after the JSON object",
			"params"),
		"params unknown": preview(values{"params": `{"model": "a"}`}).mustSay(`unknown name "model"`, "params"),
		"params mistyped": preview(values{"params": `{"models": "a"}`}).mustSay("params (models): models is a "+
			"string", "params"),
		"params of a flag": preview(values{"params": `{"models": ["a", "--full-refresh"]}`}).mustSay("params (models[1])", "params"),
		"params out of bounds": preview(values{"action_type": "adjust_canary_split",
			"params": `{"version": "v2", "target_percent": 101}`}).mustSay("params (target_percent)", "params"),
		"params of half a step": preview(values{"action_type": "rollback_planner",
			"params": `{"from_version": "v2", "steps": 1.5}`}).mustSay("params (steps): steps is the number 1.5",
			"params"),
		"params of no steps": preview(values{"action_type": "rollback_planner",
			"params": `{"from_version": "v2", "to_version": "v1", "steps": 0}`}).mustSay("Must be between 1 and 100",
			"params"),
	}
}
