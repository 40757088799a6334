package planner_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// fake is a planner in memory that records what was asked of it.
type fake struct {
	// unread is why the split can't be read.
	unread error
	// odd reports that shares alone do not restore its state.
	odd    bool
	split  target.Split
	writes []string
	// onSet is called before a change is made. Its error is returned.
	onSet func(n int, c target.Change) error
	// onDeploy is the same for a deployment.
	onDeploy func() error
}

func newFake(canary float64) *fake {
	return &fake{split: target.Split{Revision: "r", Stable: "v1.2.2", Resolution: 0.01,
		Shares: map[string]float64{"v1.2.2": 100 - canary, "v1.2.3-canary": canary}}}
}

func (f *fake) Name(context.Context) (string, error) { return "planner:fake", nil }

func (f *fake) Read(context.Context) (target.Split, error) { return f.now(), f.unread }

// state is the state of a fake planner.
type state struct {
	Shares map[string]float64 `json:"shares"`
	Down   []string           `json:"down"`
}

// now is the split with its state.
func (f *fake) now() target.Split {
	split := f.split
	split.State, _ = json.Marshal(state{split.Shares, split.Down})
	split.Plain = !f.odd
	return split
}

func (f *fake) Command(_ target.Split, shares map[string]float64) string {
	return "set " + target.Text(shares)
}

func (f *fake) Restoring(_ target.Split, raw target.State) (string, map[string]float64, error) {
	var s state
	err := json.Unmarshal(raw, &s)
	return "restore " + target.Text(s.Shares), s.Shares, err
}

func (f *fake) Restore(_ context.Context, r target.Restoration) (target.Split, error) {
	var s state
	if err := json.Unmarshal(r.State, &s); err != nil {
		return target.Split{}, err
	}
	f.writes = append(f.writes, "restore "+target.Text(s.Shares))
	if f.onSet != nil {
		if err := f.onSet(len(f.writes), target.Change{Shares: s.Shares}); err != nil {
			return target.Split{}, err
		}
	}
	f.split.Shares, f.split.Down = s.Shares, s.Down
	return f.now(), nil
}

func (f *fake) Set(_ context.Context, c target.Change) (target.Split, error) {
	f.writes = append(f.writes, target.Number(c.Shares["v1.2.3-canary"]))
	if f.onSet != nil {
		if err := f.onSet(len(f.writes), c); err != nil {
			return target.Split{}, err
		}
	}
	f.split.Shares = c.Shares
	return f.now(), nil
}

func (f *fake) Deploy(_ context.Context, v target.Version) error {
	f.writes = append(f.writes, "deploy "+v.Name)
	if f.onDeploy != nil {
		return f.onDeploy()
	}
	f.split.Down = nil
	return nil
}

func (f *fake) Decommission(_ context.Context, v target.Version) error {
	f.writes, f.split.Down = append(f.writes, "decommission "+v.Name), []string{v.Name}
	return nil
}

// quick is a clock on which waits pass at once, and are counted.
type quick struct{ slept time.Duration }

func (*quick) Now() time.Time { return time.Time{} }

func (q *quick) Sleep(ctx context.Context, d time.Duration) error {
	q.slept += d
	return context.Cause(ctx)
}

func bind(t *testing.T, p playbook.Playbook, params string) playbook.Action {
	t.Helper()
	action, err := p.Bind(json.RawMessage(params))
	if err != nil {
		t.Fatal(err)
	}
	return action
}

func look(t *testing.T, a playbook.Action) playbook.Preview {
	t.Helper()
	p, err := a.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run executes the action as the engine does; checkpoint may stop it.
func run(t *testing.T, a playbook.Action, checkpoint func(n int) error) (playbook.Work, playbook.Report, error) {
	t.Helper()
	n := 0
	job := playbook.Job{ID: 7, Preview: look(t, a), Checkpoint: func(ctx context.Context, _ any) error {
		n++
		if checkpoint != nil {
			return checkpoint(n)
		}
		return context.Cause(ctx)
	}}
	work, err := a.Dispatch(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	out, err := work.Wait(t.Context())
	return work, out, err
}
