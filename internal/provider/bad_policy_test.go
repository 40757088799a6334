package provider_test

func policy(v values) values { return values{"approval": v} }

// rule and window return a valid rule and a valid freeze window, except for change.
func rule(change values) values {
	v := values{"name": "large", "risk": "high"}
	for name, value := range change {
		v[name] = value
	}
	return policy(values{"rule": list{v}})
}

func window(change values) values {
	v := values{"name": "weekend", "recurrence": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", "duration": "64h",
		"time_zone": "Europe/Berlin"}
	for name, value := range change {
		v[name] = value
	}
	return policy(values{"freeze": list{v}})
}

// maintenance returns a valid maintenance window, except for change.
func maintenance(change values) values {
	v := values{"name": "nights", "recurrence": "FREQ=DAILY;BYHOUR=1", "duration": "4h", "time_zone": "Europe/Berlin",
		"playbooks": list{"refresh_synonyms"}}
	for name, value := range change {
		v[name] = value
	}
	return policy(values{"maintenance_window": list{v}})
}

// pull returns a valid forge block, except for change.
func pull(change values) values {
	v := values{"kind": "github", "repository": "acme/search", "pull_request": 12,
		"commit": "6dcb09b5b57875f334f61aebed695e2e4193db5e"}
	for name, value := range change {
		v[name] = value
	}
	return policy(values{"forge": v})
}

// badPolicies are invalid approval blocks.
func badPolicies() map[string]badInput {
	group := func(members ...any) values { return values{"leads": list(members)} }
	return map[string]badInput{
		"no approvers": {block: policy(values{"approvers": list{}}), says: "at least 1",
			at: "approval.approvers"},
		"an approver twice": {block: policy(values{"approvers": list{"a@example.com", "a@example.com"}}),
			says: "Duplicate", at: "approval.approvers"},
		"an approver of blanks": {block: policy(values{"approvers": list{"b@example.com", " "}}), says: "is empty",
			at: "approval.approvers[1]"},
		"an approver null": {block: policy(values{"approvers": list{nil}}), says: "Null",
			at: "approval.approvers"},
		"a pattern cut off": {block: policy(values{"approvers": list{"*@a.com", "[x"}}),
			says: "syntax error in pattern", at: "approval.approvers[1]"},
		"a group of nobody": {block: policy(values{"approvers": list{"group:leads"}}),
			says: `There is no group "leads"`, at: "approval.approvers[0]"},
		"a group without members": {block: policy(values{"groups": values{"leads": list{}}}), says: "Nobody is in",
			at: `approval.groups["leads"]`},
		"a group null": {block: policy(values{"groups": values{"leads": nil}}), says: "Null",
			at: "approval.groups"},
		"a group with a null": {block: policy(values{"groups": group("a", nil)}), says: "Null",
			at: `approval.groups["leads"]`},
		"an alias null": {block: policy(values{"aliases": values{"a@example.com": list{nil}}}), says: "Null",
			at: `approval.aliases["a@example.com"]`},
		"a group in a group": {block: policy(values{"groups": group("a", "group:ops")}),
			says: "names another group", at: `approval.groups["leads"][1]`},
		"a group of a bad member": {block: policy(values{"groups": group("[x")}), says: "syntax error in pattern",
			at: `approval.groups["leads"][0]`},
		"a group without name": {block: policy(values{"groups": values{"": list{"a"}}}), says: "is empty",
			at: `approval.groups[""]`},
		"an alias of look-alikes": {block: policy(values{"aliases": values{"boss@example.com": list{"b\u043ess"}}}),
			says: "can be taken for another one", at: `approval.aliases["boss@example.com"][0]`},
		"an alias of nobody": {block: policy(values{"aliases": values{" ": list{"a"}}}), says: "the name is empty",
			at: `approval.aliases[" "]`},
		"an alias of two people": {block: policy(values{"aliases": values{"a@example.com": list{"Boss"},
			"b@example.com": list{"boss"}}}), says: "Two people share a name",
			at: `approval.aliases["b@example.com"][0]`},
		"enforce": {block: policy(values{"enforce": "never"}), says: `must be one of: ["apply" "plan"]`,
			at: "approval.enforce"},
		"minimum zero": {block: policy(values{"minimum": 0}), says: "between 1 and 10", at: "approval.minimum"},
		"minimum of a crowd": {block: policy(values{"minimum": 11}), says: "between 1 and 10",
			at: "approval.minimum"},
		"minimum out of reach": {block: policy(values{"minimum": 3,
			"approvers": list{"a@example.com", "b@example.com"}}),
			says: "3 different people must approve, and the approvers are 2", at: "approval.minimum"},
		"minimum of one person": {block: policy(values{"minimum": 2, "approvers": list{"a@example.com", "al"},
			"aliases": values{"a@example.com": list{"al"}}}),
			says: "the approvers are 1", at: "approval.minimum"},
		"minimum of a group": {block: policy(values{"minimum": 2, "approvers": list{"group:leads"},
			"groups": group("a@example.com")}), says: "the approvers are 1", at: "approval.minimum"},
		"requester": {block: policy(values{"requester": "a\u200bb", "separation_of_duties": true}),
			says: "can't be seen", at: "approval.requester"},
		"requester in Greek": {block: policy(values{"requester": "\u03b1@example.com", "separation_of_duties": true}),
			says: "The requester can't be compared", at: "approval.requester"},
		"max_age in words": {block: policy(values{"max_age": "1 day"}), says: "Write a duration such as 24h",
			at: "approval.max_age"},
		"max_age negative": {block: policy(values{"max_age": "-24h"}), says: "less than 1m",
			at: "approval.max_age"},
		"max_age too short": {block: policy(values{"max_age": "1ms"}), says: "less than 1m",
			at: "approval.max_age"},
		"max_age overflows": {block: policy(values{"max_age": "9999999999h"}), says: "not a valid duration",
			at: "approval.max_age"},
		"signatures": {block: policy(values{"signatures": "please"}),
			says: `must be one of: ["required" "optional"]`, at: "approval.signatures"},
		"signatures of nobody": {block: policy(values{"signatures": "required"}),
			says: "nothing to check signatures against", at: "approval.allowed_signers"},
		"signers none": {block: policy(values{"allowed_signers": "# nobody\n"}), says: "it names no signer",
			at: "approval.allowed_signers"},
		"signers a path": {block: policy(values{"allowed_signers": "/etc/allowed_signers"}),
			says: "line 1: expected principals", at: "approval.allowed_signers"},
		"signers a bad key": {block: policy(values{"allowed_signers": "a@example.com ssh-ed25519 AAAA"}),
			says: "a public key such as", at: "approval.allowed_signers"},
		"signers an option": {block: policy(values{"allowed_signers": "a@example.com namespace=\"x\" ssh-ed25519 " +
			"AAAAC3NzaC1lZDI1NTE5AAAAIKqIcjRnYTw5WsGsSyBWmx9ZSKzsMnKUYBHi2x2pTTTX"}),
			says: `unknown option "namespace"`, at: "approval.allowed_signers"},

		"rule without name": {block: rule(values{"name": ""}), says: "is empty", at: "approval.rule[0].name"},
		"rule of two names": {block: policy(values{"rule": list{values{"name": "a"}, values{"name": "a"}}}),
			says: `Two rules are named "a"`, at: "approval.rule[1].name"},
		"rule of no playbook": {block: rule(values{"playbooks": list{"rerun_dbt", "rerun-dbt"}}),
			says: "it would never apply", at: "approval.rule[0].playbooks[1]"},
		"rule of no playbooks": {block: rule(values{"playbooks": list{}}), says: "at least 1",
			at: "approval.rule[0].playbooks"},
		"rule risk": {block: rule(values{"risk": "extreme"}), says: "must be one of",
			at: "approval.rule[0].risk"},
		"rule target empty": {block: rule(values{"targets": list{""}}), says: "is empty",
			at: "approval.rule[0].targets[0]"},
		"rule targets none": {block: rule(values{"targets": list{}}), says: "at least 1",
			at: "approval.rule[0].targets"},
		"rule cost negative": {block: rule(values{"min_cost_usd": -1}), says: "between 0",
			at: "approval.rule[0].min_cost_usd"},
		"rule affected zero": {block: rule(values{"min_affected": 0}), says: "between 1 and",
			at: "approval.rule[0].min_affected"},
		"rule minimum zero": {block: rule(values{"minimum": 0}), says: "between 1 and 10",
			at: "approval.rule[0].minimum"},
		"rule out of reach": {block: rule(values{"minimum": 2, "approvers": list{"a@example.com"}}),
			says: "the approvers are 1", at: "approval.rule[0].minimum"},
		"rule pattern": {block: rule(values{"approvers": list{"[x"}}), says: "syntax error in pattern",
			at: "approval.rule[0].approvers[0]"},
		"rule approvers nobody": {block: rule(values{"approvers": list{}}), says: "at least 1",
			at: "approval.rule[0].approvers"},
		"maintenance for nothing": {block: maintenance(values{"playbooks": list{}}), says: "at least 1",
			at: "approval.maintenance_window[0].playbooks"},
		"maintenance unknown playbook": {block: maintenance(values{"playbooks": list{"refresh_synonym"}}),
			says: "is not an action type", at: "approval.maintenance_window[0].playbooks[0]"},
		"maintenance without name": {block: maintenance(values{"name": " "}), says: "is empty",
			at: "approval.maintenance_window[0].name"},
		"maintenance in words": {block: maintenance(values{"duration": "a night"}), says: "not a valid duration",
			at: "approval.maintenance_window[0].duration"},
		"maintenance nowhere": {block: maintenance(values{"time_zone": "Europe/Nowhere"}), says: "unknown time zone",
			at: "approval.maintenance_window[0].time_zone"},
		"maintenance start": {block: maintenance(values{"start": "2026-01-31"}), says: "cannot parse",
			at: "approval.maintenance_window[0].start"},
		"maintenance broken by none": {block: maintenance(values{"break_glass": list{}}), says: "at least 1",
			at: "approval.maintenance_window[0].break_glass"},
		"maintenance outside": {block: maintenance(values{"outside": "allow"}), says: "must be one of",
			at: "approval.maintenance_window[0].outside"},
		"maintenance never": {block: maintenance(values{"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}),
			says: "never happens", at: "approval.maintenance_window[0].recurrence"},
		"window without name": {block: window(values{"name": " "}), says: "is empty", at: "approval.freeze[0].name"},
		"window of Fridays": {block: window(values{"recurrence": "0 16 * * 5"}), says: "write it like FREQ=WEEKLY",
			at: "approval.freeze[0].recurrence"},
		"window every minute": {block: window(values{"recurrence": "FREQ=MINUTELY"}), says: "finer than daily",
			at: "approval.freeze[0].recurrence"},
		"window with a DTSTART": {block: window(values{"recurrence": "DTSTART=20240101T000000Z;FREQ=DAILY"}),
			says: "use start", at: "approval.freeze[0].recurrence"},
		"window in words": {block: window(values{"duration": "a weekend"}), says: "not a valid duration",
			at: "approval.freeze[0].duration"},
		"window of no length": {block: window(values{"duration": "0s"}), says: "must be between 1m",
			at: "approval.freeze[0].duration"},
		"window of a year": {block: window(values{"duration": "8760h"}), says: "744h",
			at: "approval.freeze[0].duration"},
		"window nowhere": {block: window(values{"time_zone": "Europe/Nowhere"}), says: "unknown time zone",
			at: "approval.freeze[0].time_zone"},
		"window of a path": {block: window(values{"time_zone": "../../etc/passwd"}),
			says: "invalid location name", at: "approval.freeze[0].time_zone"},
		"window of this machine": {block: window(values{"time_zone": "Local"}), says: "depends on the machine",
			at: "approval.freeze[0].time_zone"},
		"window start": {block: window(values{"start": "2026-01-31"}), says: "cannot parse",
			at: "approval.freeze[0].start"},
		"window broken by": {block: window(values{"break_glass": list{"group:none"}}), says: "There is no group",
			at: "approval.freeze[0].break_glass[0]"},
		"window broken by none": {block: window(values{"break_glass": list{}}), says: "at least 1",
			at: "approval.freeze[0].break_glass"},

		"forge kind": {block: pull(values{"kind": "bitbucket"}), says: "must be one of",
			at: "approval.forge.kind"},
		"forge without address": {block: pull(values{"kind": "gitea"}), says: "Invalid web address",
			at: "approval.forge.url"},
		"forge address": {block: pull(values{"url": "git@github.com"}), says: "Invalid web address",
			at: "approval.forge.url"},
		"forge with a password": {block: pull(values{"url": "https://oauth2:token@gitlab.example.com"}),
			says: "a user name or a password", at: "approval.forge.url"},
		"forge repository": {block: pull(values{"repository": "search"}), says: "not like owner/name",
			at: "approval.forge.repository"},
		"forge repository up": {block: pull(values{"repository": "acme/.."}), says: "not like owner/name",
			at: "approval.forge.repository"},
		"forge request zero": {block: pull(values{"pull_request": 0}), says: "between 1 and",
			at: "approval.forge.pull_request"},
		"forge request missing": {block: pull(values{"pull_request": nil}), says: "is missing",
			at: "approval.forge.pull_request"},
		"forge commit abbreviated": {block: pull(values{"commit": "6dcb09b"}), says: "not a full commit hash",
			at: "approval.forge.commit"},
		"forge commit of a branch": {block: pull(values{"commit": "main"}), says: "not a full commit hash",
			at: "approval.forge.commit"},
		"forge token": {block: pull(values{"token": "ghp_secret\n"}), says: "use trimspace()",
			at: "approval.forge.token"},
	}
}
