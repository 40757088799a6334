package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/chromiumtest"
	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// TestAccReport reports real executions, by the command and by the data source.
func TestAccReport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := func(percent string) {
		r.Write("main.tf", head(approvers)+split("canary", percent, "incident_id = \"INC-7\"\n  gradual = false\n"+
			"  approved_by = \"lead@example.com\"")+`
data "remediation_report" "all" {
  limit      = 5
  depends_on = [remediation_canary_split.canary]
}

output "html" {
  value = data.remediation_report.all.html
}

output "markdown" {
  value = data.remediation_report.all.markdown
}
`)
	}
	config("25")
	r.Must("apply", "-auto-approve", "-no-color")
	config("5")
	r.Must("apply", "-auto-approve", "-no-color")
	page := r.ok("journal", "report")
	for name, text := range map[string]string{"the command": page, "the data " +
		"source": r.Must("output", "-raw", "html")} {
		for _, want := range []string{"2 executions from", "v2: " +
			"5%", "lead@example.com", "INC-7", "adjust_canary_split"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
	markdown := r.ok("journal", "report", "--markdown", "--incident", "INC-7")
	if !strings.Contains(markdown, "| `adjust_canary_split` | 2 | 2 |") ||
		!strings.Contains(r.Must("output", "-raw", "markdown"), "| `adjust_canary_split` | 2 | 2 |") {
		t.Errorf("the Markdown:\n%s", markdown)
	}
	if out := r.ok("journal", "report", "--json", "--incident", "INC-8"); strings.TrimSpace(out) != "[]" {
		t.Errorf("executions of another incident: %s", out)
	}
	file := filepath.Join(r.Dir, "report.html")
	r.ok("journal", "report", "--out", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	r.ok("journal", "report", "--out", file) // again, over the first one
	link, elsewhere := filepath.Join(r.Dir, "link.html"), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	_, problems, code := r.run("", "journal", "report", "--out", link)
	if _, err := os.Lstat(elsewhere); err == nil || code != commands.ExitError || !strings.Contains(problems, "link") {
		t.Errorf("written through a link: exit code %d\n%s", code, problems)
	}
	p := chromiumtest.Open(t, file)
	if problems, unnamed := p.Problems(), p.Unnamed(); len(problems)+len(unnamed) > 0 {
		t.Errorf("problems %v, without a name %v", problems, unnamed)
	}
	if _, problems, code := r.run("", "journal", "report", "--since", "yesterday"); code != commands.ExitUsage {
		t.Errorf("a bound that is no time: exit code %d\n%s", code, problems)
	}
}
