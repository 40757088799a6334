package canarysplit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccRenamedKey gives a resource that undoes its execution on destroy another key. The plan warns of the undo, and
// with a moved block nothing is undone.
func TestAccRenamedKey(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	w.Write("planner.json", chained)
	config := func(key, more string) {
		w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
}

resource "remediation_canary_split" "contain" {
  for_each       = toset([%q])
  version        = "v2"
  target_percent = 5
  gradual        = false
  on_destroy     = "rollback"
}
%s`, key, more))
	}
	config("search", "")
	w.Must("apply", "-auto-approve", "-no-color")
	config("mail", "")
	if out := flat(w.Must("plan", "-no-color")); !strings.Contains(out, "undoes an execution on planner:file:") ||
		!strings.Contains(out, "add a moved block") {
		t.Errorf("the plan doesn't say what to do:\n%s", out)
	}
	const address = "remediation_canary_split.contain"
	config("mail", "\nmoved {\n  from = "+address+"[\"search\"]\n  to   = "+address+"[\"mail\"]\n}\n")
	if out := flat(w.Must("apply", "-auto-approve", "-no-color")); strings.Contains(out, "undoes") {
		t.Errorf("a moved resource is undone:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
	if err != nil || !strings.Contains(string(text), `"percent": 5`) {
		t.Errorf("%s, %v", text, err)
	}
}
