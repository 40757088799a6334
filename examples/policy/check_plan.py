#!/usr/bin/env python3
"""A policy for plans: print what it denies, and exit with 1 if there is anything.

    terraform show -json saved.tfplan | check_plan.py

It decides on the attribute preview of each planned execution, which any policy engine that reads the JSON of a plan can do, such as
Open Policy Agent. It needs Python 3.9 and nothing else.
"""
import json
import re
import sys

MOST_COST_USD = 50
# What no pull request may change, whoever approves it.
FORBIDDEN_TARGETS = re.compile(r"^dbt:billing/")


def denials(plan):
    """One sentence per violation."""
    for change in plan.get("resource_changes", []):
        if not change["provider_name"].endswith("/applylens/remediation") or change["mode"] != "managed":
            continue
        actions, after = change["change"]["actions"], change["change"].get("after") or {}
        before = change["change"].get("before") or {}
        if actions == ["delete"] and before.get("on_destroy") == "rollback" and before.get("rollback_action"):
            target = before["preview"]["target"]  # the destroy runs the undo
            if FORBIDDEN_TARGETS.match(target):
                yield "%s: the target %s is not changed by pull requests" % (change["address"], target)
        if "create" not in actions and "update" not in actions:
            continue
        unknown = change["change"].get("after_unknown") or {}
        if not unknown.get("status"):
            continue  # nothing runs
        preview, address = after.get("preview") or {}, change["address"]
        if unknown.get("preview") is True:
            yield "%s: what it executes is not known at plan" % address
            continue
        if FORBIDDEN_TARGETS.match(preview["target"]):
            yield "%s: the target %s is not changed by pull requests" % (address, preview["target"])
        if preview["approval_required"] and preview.get("approval_granted") is False:
            yield "%s: the approval is missing" % address
        if preview["risk"] == "high" and not preview["rollback_available"]:
            yield "%s: a high risk without an undo" % address
        if preview["estimated_cost_usd"] > MOST_COST_USD:
            yield "%s: costs USD %.2f, and %d are allowed" % (address, preview["estimated_cost_usd"], MOST_COST_USD)


if __name__ == "__main__":
    plan = json.load(sys.stdin)
    if "planned_values" not in plan:
        sys.exit("not a plan: without a plan's file, terraform show -json prints the state")
    found = list(denials(plan))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
