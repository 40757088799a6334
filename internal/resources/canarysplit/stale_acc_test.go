package canarysplit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// bug is what Terraform says about a known value that changed inside an apply.
const bug = "This is a bug in the provider"

// refusedInOwnWords checks that the provider refuses an apply before anything runs.
func (r rig) refusedInOwnWords(t *testing.T, want string, args ...string) {
	t.Helper()
	before := r.share(t)
	out := flat(r.MustFail(append([]string{"apply", "-no-color", "-auto-approve"}, args...)...))
	if strings.Contains(out, bug) || !strings.Contains(out, want) {
		t.Errorf("the apply says:\n%s\nwant %q", out, want)
	}
	if now := r.share(t); now != before {
		t.Errorf("the share moved from %g to %g", before, now)
	}
}

// TestAccStalePlans applies saved plans after something changed: the provider refuses with its own error, or applies.
func TestAccStalePlans(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		between func(t *testing.T, r rig)
		// refused is the message of apply, or empty if apply succeeds.
		refused string
		args    []string
	}{
		"nothing changed": {between: func(*testing.T, rig) {}},
		"the target moved": {between: func(_ *testing.T, r rig) { r.split(12) },
			refused: "changed since it was reviewed"},
		"the target moved, and another plan was made": {between: func(_ *testing.T, r rig) {
			r.split(12)
			r.Must("plan", "-no-color")
		}, refused: "changed since it was reviewed"},
		"another plan was made": {between: func(_ *testing.T, r rig) { r.Must("plan", "-no-color") }},
		"the journal is missing": {between: func(t *testing.T, r rig) {
			t.Helper()
			if err := os.RemoveAll(filepath.Join(r.Dir, ".remediation")); err != nil {
				t.Fatal(err)
			}
		}, refused: "need one journal"},
		"the plan file was moved": {between: func(t *testing.T, r rig) {
			t.Helper()
			if err := os.Rename(filepath.Join(r.Dir, "p"), filepath.Join(r.Dir, "moved")); err != nil {
				t.Fatal(err)
			}
		}, args: []string{"moved"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Write("main.tf", config(25, atOnce, ""))
			r.Must("plan", "-no-color", "-out=p")
			tt.between(t, r)
			args := tt.args
			if args == nil {
				args = []string{"p"}
			}
			if tt.refused != "" {
				r.refusedInOwnWords(t, tt.refused, args...)
				return
			}
			r.Must(append([]string{"apply", "-no-color"}, args...)...)
			if r.share(t) != 25 {
				t.Errorf("the share is %g", r.share(t))
			}
		})
	}
}

// TestAccPlanFileFromTheEnvironment applies a plan whose file TF_CLI_ARGS_apply names, after another plan was made. The
// apply refuses in the provider's own words if the target has moved.
func TestAccPlanFileFromTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]string{"nothing changed": "",
		"the target moved": "changed since it was reviewed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Write("main.tf", config(25, atOnce, ""))
			r.Must("plan", "-no-color", "-out=the plan")
			if refused != "" {
				r.split(12)
			}
			r.Must("plan", "-no-color")
			cmd := r.Command(t.Context(), "apply", "-no-color")
			cmd.Env = append(cmd.Env, `TF_CLI_ARGS_apply=-lock-timeout='5s' "the plan"`)
			out, err := cmd.CombinedOutput()
			want := map[bool]float64{true: 25, false: 12}[refused == ""]
			if (err == nil) != (refused == "") || strings.Contains(flat(string(out)), bug) ||
				!strings.Contains(flat(string(out)), refused) || r.share(t) != want {
				t.Errorf("%v, the share is %g:\n%s", err, r.share(t), out)
			}
		})
	}
}

// TestAccTargetMovesDuringATest moves the target between the plan and the apply of one "terraform test", which runs
// both in one process.
func TestAccTargetMovesDuringATest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.split(12)
	if err := os.Rename(r.file, filepath.Join(r.Dir, "moved.json")); err != nil {
		t.Fatal(err)
	}
	r.split(10)
	r.Write("main.tf", config(25, atOnce+"\n  depends_on = [terraform_data.mover]", "")+`
resource "terraform_data" "mover" {
  provisioner "local-exec" {
    command = "cp moved.json planner.json"
  }
}
`)
	r.Write("stale.tftest.hcl", `run "apply" {}`)
	out := flat(r.MustFail("test", "-no-color"))
	if strings.Contains(out, bug) || !strings.Contains(out, "changed since it was reviewed") || r.share(t) != 12 {
		t.Errorf("the share is %g:\n%s", r.share(t), out)
	}
}

// TestAccTargetMovesWhileApplyWaits answers the prompt of an apply after the target has moved.
func TestAccTargetMovesWhileApplyWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, atOnce, ""))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := r.Command(ctx, "apply", "-no-color", "-input=true")
	cmd.Env = append(cmd.Env, "TF_INPUT=1")
	out, err := answered(cmd, func() { r.split(12) })
	if err == nil || strings.Contains(flat(out), bug) || !strings.Contains(flat(out), "changed since it was reviewed") {
		t.Errorf("the apply ended with %v and says:\n%s", err, out)
	}
	if r.share(t) != 12 {
		t.Errorf("the share is %g", r.share(t))
	}
}

// answered runs a command, calls between when it asks, and answers yes.
func answered(cmd *exec.Cmd, between func()) (string, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	asks := &prompt{out: &out, asked: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = asks, asks
	if err := cmd.Start(); err != nil {
		return "", err
	}
	<-asks.asked
	between()
	_, _ = fmt.Fprintln(in, "yes") // the command's end tells whether it was read
	_ = in.Close()
	err = cmd.Wait()
	return out.String(), err
}

// prompt reports when Terraform asks for confirmation.
type prompt struct {
	out   *strings.Builder
	asked chan struct{}
	done  bool
}

// Write implements io.Writer.
func (p *prompt) Write(text []byte) (int, error) {
	p.out.Write(text)
	if !p.done && strings.Contains(p.out.String(), "Enter a value:") {
		p.done = true
		close(p.asked)
	}
	return len(text), nil
}

// TestAccDuplicateResourcesInOneApply applies a saved plan of resources with the same request.
func TestAccDuplicateResourcesInOneApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(8, "gradual = false\n  count = 3", ""))
	r.Must("plan", "-no-color", "-out=p")
	// The first one moves the target that the others were planned on.
	out := flat(r.MustFail("apply", "-no-color", "p"))
	if strings.Contains(out, bug) || !strings.Contains(out, "current_percent: was 10, now 8") {
		t.Errorf("the apply says:\n%s", out)
	}
}

// TestAccStoryOfASplit: TF_LOG_PROVIDER=DEBUG explains an apply, and the execution's log has the same events.
func TestAccStoryOfASplit(t *testing.T) {
	t.Parallel()
	r := rig{Workspace: acctest.NewWorkspace(t, "TF_LOG_PROVIDER=DEBUG")}
	r.file = filepath.Join(r.Dir, "planner.json")
	r.split(10)
	r.Write("main.tf", config(25, atOnce, ""))
	out := r.Must("apply", "-no-color", "-auto-approve")
	found, err := filepath.Glob(filepath.Join(r.Dir, ".remediation", "executions", "*", "execution.log"))
	if err != nil || len(found) != 1 {
		t.Fatalf("logs: %v, %v", found, err)
	}
	path := found[0]
	text, err := os.ReadFile(path) //nolint:gosec // the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	if state, err := os.ReadFile(filepath.Join(r.Dir, "terraform.tfstate")); err != nil ||
		!strings.Contains(string(state), "execution.log") {
		t.Errorf("logs_url doesn't name the log: %v", err)
	}
	for name, log := range map[string]string{"TF_LOG_PROVIDER": out, path: string(text)} {
		at := 0
		for _, point := range []string{"intent journaled", "dispatching the work", "work dispatched",
			"name of the work journaled", "work ended", "execution ended", "outcome journaled"} {
			next := strings.Index(log[at:], point)
			if next < 0 {
				t.Errorf("%s lacks %q after its place:\n%s", name, point, log)
				break
			}
			at += next
		}
	}
}
