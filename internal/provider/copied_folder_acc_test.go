package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccSavedPlanInACopiedFolder applies a plan in a copy of the folder in which it was made. A relative path names
// another planner there, which nobody has reviewed.
func TestAccSavedPlanInACopiedFolder(t *testing.T) {
	t.Parallel()
	w, other := acctest.NewWorkspace(t), acctest.NewWorkspace(t)
	w.Write("planner.json", splitFile)
	w.Write("main.tf", block("", "")+raises("approved_by = \"boss@example.com\""))
	w.Must("plan", "-no-color", "-out=saved.tfplan")
	if err := os.CopyFS(filepath.Join(other.Dir, "copy"), os.DirFS(w.Dir)); err != nil {
		t.Fatal(err)
	}
	before := planned(t, w)
	out := oneLine(other.MustFail("-chdir=copy", "apply", "-no-color", "saved.tfplan"))
	for _, want := range []string{"The plan of adjust_canary_split was made in another folder", w.Dir,
		"Nothing has run. Apply the plan in the folder in which it was made"} {
		if !strings.Contains(out, want) {
			t.Errorf("the refusal lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "inconsistent final plan") {
		t.Errorf("Terraform's own message:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(other.Dir, "copy", "planner.json"))
	if err != nil || string(text) != before || planned(t, w) != before {
		t.Errorf("traffic moved: %v", err)
	}
	w.Must("apply", "-no-color", "saved.tfplan")
}
