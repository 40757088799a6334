package planner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/file"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	const private = 0o600
	if err := os.WriteFile(path, []byte(content), private); err != nil {
		t.Fatal(err)
	}
}

func percent(t *testing.T, p target.Planner) float64 {
	t.Helper()
	split, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return split.Shares["v2"]
}

// TestDeployOfAVersionThatKeptItsShareIsUndone covers a share that has no effect while the version is down.
func TestDeployOfAVersionThatKeptItsShareIsUndone(t *testing.T) {
	t.Parallel()
	for name, inputs := range map[string]string{
		"the same": `{"version": "v2", "initial_percent": 10}`, "more": `{"version": "v2", "initial_percent": 20}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "planner.json")
			write(t, path, `{"stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10, "down": true}}}`)
			p := file.New(path)
			before, err := p.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, out, err := run(t, bind(t, planner.NewDeploy(p, &quick{}), inputs), nil)
			if err != nil {
				t.Fatal(err)
			}
			undo(t, p, out.Undo)
			after, err := p.Read(t.Context())
			if err != nil || !target.SameState(after.State, before.State) {
				t.Errorf("undone: %s, want %s, %v", after.State, before.State, err)
			}
		})
	}
}

// TestUndoDoesNotPromiseADeployment rolls back a version that is down, and undoes that.
func TestUndoDoesNotPromiseADeployment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "planner.json")
	write(t, path, `{"stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10, "down": true}}}`)
	p := file.New(path)
	_, out, err := run(t, bind(t, planner.NewRollback(p, &quick{}), `{"from_version": "v2", "immediate": true}`), nil)
	if err != nil || percent(t, p) != 0 {
		t.Fatal(err)
	}
	back := bind(t, planner.NewDeploy(p, &quick{}), encode(t, out.Undo.Params))
	if said := strings.Join(look(t, back).Changes, "; "); strings.Contains(said, "v2 is deployed") {
		t.Errorf("changes %q", said)
	}
	undo(t, p, out.Undo)
	if split, err := p.Read(t.Context()); err != nil || split.Deployed("v2") || split.Shares["v2"] != 10 {
		t.Errorf("undone: %s, %v", split.State, err)
	}
}

// repairing is a clock on which a wait repairs the planner's file.
type repairing struct {
	quick
	repair func()
}

func (r *repairing) Sleep(ctx context.Context, d time.Duration) error {
	if r.repair != nil {
		r.repair()
	}
	return r.quick.Sleep(ctx, d)
}

// TestRevertSurvivesAFileThatIsBeingWritten covers another program that does not replace the file with a rename.
func TestRevertSurvivesAFileThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "planner.json")
	write(t, path, `{"stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`)
	p := file.New(path)
	clock := &repairing{}
	work, _, err := run(t, bind(t, planner.NewSplit(p, clock), toHalf), func(int) error { return errStop })
	if !errors.Is(err, errStop) || percent(t, p) != 50 {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clock.repair = func() { write(t, path, string(content)) }
	write(t, path, string(content[:len(content)/2]))
	if _, err := work.(playbook.Reverter).Revert(t.Context()); err != nil { //nolint:forcetypeassert // it has to be one
		t.Error(err)
	}
	if got := percent(t, p); got != 10 {
		t.Errorf("v2 has %g%%", got)
	}
}
