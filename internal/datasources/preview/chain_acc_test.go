package preview_test

import (
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccPreviewOfALaterStep compares the data source with the resource: both start from what an earlier step will
// leave. The digest is in a local value, because Terraform reads a data source that refers to a changing resource only
// during apply.
func TestAccPreviewOfALaterStep(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	w.Write("planner.json",
		`{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 75}, "v2": {"percent": 25}}}`)
	w.Write("main.tf", `
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

resource "remediation_canary_split" "contain" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}

resource "remediation_planner_rollback" "regression" {
  from_version = "v2"
  immediate    = true
  approved_by  = "manager@example.com"
  after        = [remediation_canary_split.contain.preview.digest]
}

data "remediation_preview" "regression" {
  action_type = "rollback_planner"
  params      = jsonencode({ from_version = "v2", immediate = true })
  approved_by = "manager@example.com"
  after       = [local.contain]
}

locals {
  contain = remediation_canary_split.contain.preview.digest
  shown   = remediation_planner_rollback.regression.preview
}

output "differ" {
  value = join(",", [for k in ["target", "command", "digest", "risk", "affected", "approval_required",
    "approval_reasons", "approval_granted", "rollback_available", "identity", "content", "undo"] :
    k if jsonencode(local.shown[k]) != jsonencode(data.remediation_preview.regression[k])])
}

output "text" { value = data.remediation_preview.regression.dry_run }
`)
	out := w.Must("plan", "-no-color", "-out=p")
	_, text, _ := strings.Cut(out, "+ text")
	if !strings.Contains(out, `+ differ = ""`) ||
		!strings.Contains(text, "Starts from what adjust_canary_split will leave") {
		t.Errorf("the data source shows something else:\n%s", out)
	}
	w.Must("apply", "-no-color", "p")
	w.Write("more.tf", `
data "remediation_preview" "unknown" {
  action_type = "rollback_planner"
  params      = jsonencode({ from_version = "v2" })
  after       = ["sha256:`+strings.Repeat("a", 64)+`"]
}
`)
	if out := w.MustFail("plan", "-no-color"); !strings.Contains(out, "after names an unknown step") {
		t.Errorf("a step that nobody planned:\n%s", out)
	}
}
