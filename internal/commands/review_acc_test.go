package commands_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// commandTimeout bounds one command.
const commandTimeout = time.Minute

// rig is a working directory with a planner file, and the binary of the provider.
type rig struct {
	*acctest.Workspace
	t      *testing.T
	binary string
	// env is the environment of commands, in addition to PATH and HOME.
	env []string
	// root makes commands run as root, which a policy in a file of this user needs; see Workspace.Policy.
	root bool
}

func newRig(t *testing.T, env ...string) rig {
	t.Helper()
	r := rig{Workspace: acctest.NewWorkspace(t, env...), t: t, env: env,
		binary: filepath.Join(acctest.Provider(t), "terraform-provider-remediation")}
	r.Write("planner.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`)
	return r
}

// head is the configuration of the provider, with more in its block.
func head(more string) string {
	return `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
` + more + `
}
`
}

const approvers = `  approval { approvers = ["*@example.com"] }`

// split is a canary split to a share of the traffic, with more in its block.
func split(name, percent, more string) string {
	return fmt.Sprintf("\nresource \"remediation_canary_split\" %q {\n  version = \"v2\"\n", name) +
		fmt.Sprintf("  target_percent = %s\n%s\n}\n", percent, more)
}

// save plans, and writes the plan's JSON to plan.json.
func (r rig) save(args ...string) {
	r.t.Helper()
	r.Must(append([]string{"plan", "-no-color", "-out=saved"}, args...)...)
	r.Write("plan.json", r.Must("show", "-json", "saved"))
}

// run runs a command of the binary with standard input, and returns what it printed and its exit code.
func (r rig) run(input string, args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), commandTimeout)
	defer cancel()
	argv := append([]string{r.binary}, args...)
	if r.root && os.Geteuid() != 0 {
		argv = append([]string{"unshare", "--map-root-user", "--"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the test's own command
	cmd.Dir, cmd.Stdin = r.Dir, strings.NewReader(input)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.Dir}, r.env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%v: %v", args, err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// ok runs a command that must succeed.
func (r rig) ok(args ...string) string {
	r.t.Helper()
	out, problems, code := r.run("", args...)
	if code != commands.ExitOK {
		r.t.Fatalf("%v: exit code %d\n%s%s", args, code, out, problems)
	}
	return out
}

// steady replaces what differs between two runs of a test.
func (r rig) steady(text string) string {
	text = strings.ReplaceAll(text, r.Dir, "WORK")
	for pattern, with := range map[string]string{`[0-9a-f]{64}`: "...", `"[0-9a-f]{20}"`: `"..."`, `shown=[0-9a-f]{8}`: "shown=...",
		`execution [0-9a-f]{8}-\d+ succeeded at [0-9TZ:-]+`: "execution N succeeded at TIME"} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return text
}

// visible renders Markdown as a forge does, and returns the lines that a reader sees without unfolding anything.
func visible(t *testing.T, markdown string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(markdown), &out); err != nil {
		t.Fatal(err)
	}
	return acctest.Visible(out.String())
}

// TestAccReview reviews a plan with each kind of change.
func TestAccReview(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+split("undone", "8", "on_destroy = \"rollback\"\n  gradual = false"))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Write("more.tf", split("settings", "8", "gradual = false")+
		split("forgotten", "8", "gradual = false\n  incident_id = \"INC-1\""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Write("more.tf", "")
	r.Write("main.tf", head(approvers)+`
resource "terraform_data" "reading" {}
`+split("canary", "25", `incident_id = "INC-7"`)+
		split("given", "24", `approved_by = "lead@example.com"`)+
		split("lower", "5", "gradual = false")+
		split("maybe", "21", "run_if = terraform_data.reading.id != \"\"\n  gradual = false")+
		split("unknown", "20",
			"guardrail {\n    name  = terraform_data.reading.id\n    query = \"up\"\n    max   = 1\n  }")+
		split("skipped", "5", "run_if = false")+
		split("settings", "8", "gradual = false\n  approved_by = \"lead@example.com\""))
	r.save()
	markdown := r.ok("review", "plan.json")
	table, folds, _ := strings.Cut(markdown, "<details>")
	acctest.Golden(t, "review.md", r.steady(table))
	if n := strings.Count("<details>"+folds, "<details><summary>Dry run of <code>remediation_canary_split."); n != 4 ||
		!strings.Contains(folds, "Commands    write planner.json:") {
		t.Errorf("%d of 4 dry runs are folded:\n%s", n, folds)
	}
	acctest.Golden(t, "review.txt", r.steady(r.ok("review", "--plain", "plan.json")))
	if piped, _, code := r.run(r.file("plan.json"), "review"); code != 0 ||
		piped != strings.ReplaceAll(markdown, "plan.json", "PLAN.json") {
		t.Errorf("standard input gives another comment (exit code %d):\n%s", code, piped)
	}
	if page := r.ok("review", "plan.json", "--html"); !strings.Contains(page, "<title>Remediation: 6 executions") ||
		!strings.Contains(page, "Traffic of v2") {
		t.Errorf("the page lacks the executions:\n%s", page)
	}
	var document struct {
		Missing int `json:"approvals_missing"`
		Changes []struct{ Address, Kind, Approval, Digest string }
	}
	out, _, code := r.run("", "review", "--json", "plan.json", "--detailed-exitcode")
	if err := json.Unmarshal([]byte(out), &document); err != nil || code != commands.ExitFinding {
		t.Fatalf("%v, exit code %d\n%s", err, code, out)
	}
	if document.Missing != 2 || document.Changes[0].Kind != "may_run" ||
		!strings.HasPrefix(document.Changes[0].Digest, "sha256:") {
		t.Errorf("the JSON says something else:\n%s", out)
	}
}

// file returns the content of a file.
func (r rig) file(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// TestAccReviewSaysFirstWhatMatters checks the first ten lines of the rendered comment: target, change, risk, the
// missing approval, and how to give it.
func TestAccReviewSaysFirstWhatMatters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+split("canary", "25", `incident_id = "INC-7"`))
	r.save()
	const most = 10
	lines := visible(t, r.ok("review", "plan.json"))
	first := strings.Join(lines[:min(most, len(lines))], "\n")
	for _, want := range []string{"remediation_canary_split.canary", "planner:file:" + r.Dir, "medium", "10 min",
		"Traffic of v2: 10% to 25%", "MISSING, from " +
			"*@example.com", "approved_by", "terraform-provider-remediation approve plan.json"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first lines lack %q:\n%s", want, first)
		}
	}
}

// TestAccUsage checks what the binary prints if it is not started by Terraform.
func TestAccUsage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, commands.ExitOK, "Terraform starts it"},
		{[]string{"--help"}, commands.ExitOK, "review"},
		{[]string{"review", "--help"}, commands.ExitOK, "--max-bytes"},
		{[]string{"help", "review"}, commands.ExitOK, "--max-bytes"},
		{[]string{"--version"}, commands.ExitOK, "terraform-provider-remediation "},
		{[]string{"reviw"}, commands.ExitUsage, "Did you mean review?"},
		{[]string{"review", "--hmtl"}, commands.ExitUsage, "unknown flag"},
		{[]string{"review", "a", "b"}, commands.ExitUsage, "Expected one file"},
		{[]string{"review", "--html", "--plain"}, commands.ExitUsage, "exclude each other"},
		{[]string{"journal"}, commands.ExitUsage, "journal history"},
		{[]string{"journal", "--help"}, commands.ExitOK, "journal history"},
		{[]string{"help", "journal"}, commands.ExitOK, "journal history"},
		{[]string{"help", "jurnal"}, commands.ExitUsage, `There is no command "jurnal".`},
		{[]string{"journal", "histry"}, commands.ExitUsage, "Did you mean journal history?"},
		{[]string{"journal", "history", "--limit=x"}, commands.ExitUsage, "flag: expected a whole number\n"},
		{[]string{"review", "--json=x"}, commands.ExitUsage, "flag: expected true or false\n"},
		{[]string{"review", "--max-bytes=5"}, commands.ExitUsage, "at least 2000"},
		{[]string{"review", "--html", "--max-bytes=5999"}, commands.ExitUsage, "at least 6000 with --html"},
		{[]string{"review", "absent.json"}, commands.ExitError, "The plan can't be read"},
		{[]string{"review"}, commands.ExitError, "not JSON"},
	} {
		out, problems, code := r.run("", c.args...)
		if code != c.code || !strings.Contains(out+problems, c.want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s%s", c.args, code, c.code, c.want, out, problems)
		}
	}
}
