package planner_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const deployTen = `{"version": "v1.2.3-canary", "initial_percent": 10}`

// undeployed is a planner whose canary is down.
func undeployed() *fake {
	f := newFake(0)
	f.split.Down = []string{"v1.2.3-canary"}
	return f
}

// TestPartialDeploymentsHaveAnUndo stops a deployment after or during its first change.
func TestPartialDeploymentsHaveAnUndo(t *testing.T) {
	t.Parallel()
	refused := func(int, target.Change) error { return target.ErrShares }
	for name, tt := range map[string]struct {
		stop func(f *fake)
		want error
		// undo reports whether there is something to undo, says is what the message contains.
		undo bool
		says string
	}{
		"the deployment is refused": {func(f *fake) { f.onDeploy = func() error { return target.ErrShares } },
			target.ErrShares, false, "stays there"},
		"the deployment's answer is lost": {func(f *fake) { f.onDeploy = func() error { return target.ErrUncertain } },
			playbook.ErrUncertain, true, "stays there"},
		"the share is refused after the deployment": {func(f *fake) { f.onSet = refused }, target.ErrShares, true,
			"; v1.2.3-canary is deployed"},
		"the share is set and has no effect": {func(f *fake) {
			f.onSet = func(_ int, c target.Change) error {
				f.split.Shares = c.Shares
				return target.ErrNotEffective
			}
		}, target.ErrNotEffective, true, "v1.2.3-canary is set to 10% of the traffic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := undeployed()
			tt.stop(f)
			_, out, err := run(t, bind(t, planner.NewDeploy(f, &quick{}), deployTen), nil)
			if !errors.Is(err, tt.want) {
				t.Fatal(err)
			}
			if (out.Undo != nil) != tt.undo {
				t.Errorf("undo %+v", out.Undo)
			}
			if !strings.Contains(out.Message, tt.says) {
				t.Errorf("message %q", out.Message)
			}
		})
	}
}

// TestFirstStepThatWasMadeHalfwayHasAnUndo covers routers on which a change takes several commands.
func TestFirstStepThatWasMadeHalfwayHasAnUndo(t *testing.T) {
	t.Parallel()
	for name, halfway := range map[string]bool{"halfway": true, "not at all": false} {
		f := newFake(10)
		f.onSet = func(int, target.Change) error {
			if halfway {
				f.split.Shares = map[string]float64{"v1.2.2": 80, "v1.2.3-canary": 20}
			}
			return target.ErrUncertain
		}
		_, out, err := run(t, bind(t, planner.NewSplit(f, &quick{}), toQuarter), nil)
		if !errors.Is(err, target.ErrUncertain) || (out.Undo != nil) != halfway {
			t.Errorf("%s: undo %+v, error %v", name, out.Undo, err)
		}
	}
}

// TestRestorationIsReadBackAsAState: the shares alone don't show whether a restoration with a lost answer was made.
func TestRestorationIsReadBackAsAState(t *testing.T) {
	t.Parallel()
	restore := `{"version": "v1.2.3-canary", "target_percent": 0, "gradual": false, "restore": {"shares":
		{"v1.2.2": 100, "v1.2.3-canary": 0}, "down": ["v1.2.3-canary"]}}`
	f := newFake(10)
	f.onSet = func(_ int, c target.Change) error {
		f.split.Shares = c.Shares // and the version stays up
		return target.ErrUncertain
	}
	_, out, err := run(t, bind(t, planner.NewSplit(f, &quick{}), restore), nil)
	if !errors.Is(err, target.ErrUncertain) || out.Undo == nil {
		t.Errorf("undo %+v, error %v", out.Undo, err)
	}
}

// adopted returns the work of a rollback that another process finished, whose journal lacks the state before it.
func adopted(t *testing.T, f *fake) playbook.Reverter {
	t.Helper()
	const params = `{"from_version": "v1.2.3-canary", "to_version": "v1.2.2", "immediate": true}`
	facts, err := json.Marshal(look(t, bind(t, planner.NewRollback(newFake(10), &quick{}), params)).Facts)
	if err != nil {
		t.Fatal(err)
	}
	work, err := bind(t, planner.NewRollback(f, &quick{}), params).Adopt(t.Context(), playbook.Job{ID: 7,
		Preview: playbook.Preview{Facts: json.RawMessage(facts)}})
	if err != nil {
		t.Fatal(err)
	}
	return work.(playbook.Reverter) //nolint:forcetypeassert // it has to be one
}

// TestRevertBySharesAcceptsItsOwnFirstTry: the first try set the shares, and its answer was lost.
func TestRevertBySharesAcceptsItsOwnFirstTry(t *testing.T) {
	t.Parallel()
	f := undeployed()
	f.onSet = func(_ int, c target.Change) error {
		f.split.Shares = c.Shares
		return target.ErrUncertain
	}
	if _, err := adopted(t, f).Revert(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"deploy v1.2.3-canary", "10"}, f.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestRevertBySharesTriesAgainAfterARace: something else in the same object changed, and not the split.
func TestRevertBySharesTriesAgainAfterARace(t *testing.T) {
	t.Parallel()
	f := undeployed()
	f.onSet = func(n int, _ target.Change) error {
		if n == 2 {
			return target.ErrMoved
		}
		return nil
	}
	if _, err := adopted(t, f).Revert(t.Context()); err != nil || f.split.Shares["v1.2.3-canary"] != 10 {
		t.Errorf("shares %v, %v", f.split.Shares, err)
	}
}

// TestRevertBySharesLeavesTheMovesOfOthersAlone is the counterpart: the split is one that the move can't have left.
func TestRevertBySharesLeavesTheMovesOfOthersAlone(t *testing.T) {
	t.Parallel()
	f := undeployed()
	back := adopted(t, f)
	f.split.Shares = map[string]float64{"v1.2.2": 60, "v1.2.3-canary": 40}
	if _, err := back.Revert(t.Context()); !errors.Is(err, target.ErrMoved) || len(f.writes) > 0 {
		t.Errorf("writes %v, error %v", f.writes, err)
	}
}
