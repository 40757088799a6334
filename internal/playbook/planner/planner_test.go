package planner_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const toQuarter = `{"version": "v1.2.3-canary", "target_percent": 25}`

func TestSpecifiedExample(t *testing.T) {
	t.Parallel()
	f, clk := newFake(10), &quick{}
	a := bind(t, planner.NewSplit(f, clk), toQuarter)
	p := look(t, a)
	want := planner.Facts{CurrentPercent: 10, TargetPercent: 25, StableVersion: "v1.2.2", StablePercentBefore: 90,
		StablePercentAfter: 75,
		Schedule:           []planner.Step{{0, 13}, {120, 16}, {240, 19}, {360, 22}, {480, 25}}}
	if diff := cmp.Diff(want, p.Facts); diff != "" {
		t.Error(diff)
	}
	if p.Duration != 10*time.Minute || len(p.ApprovalReasons) != 1 || p.CostUSD != 0 || len(f.writes) != 0 {
		t.Errorf("preview %+v, writes %v", p, f.writes)
	}
	_, out, err := run(t, a, nil)
	if err != nil || !cmp.Equal(f.writes, []string{"13", "16", "19", "22", "25"}) || clk.slept != 10*time.Minute {
		t.Errorf("writes %v in %s: %v", f.writes, clk.slept, err)
	}
	undo, err := json.Marshal(out.Undo)
	if err != nil || string(undo) != `{"action_type":"adjust_canary_split","params":{"version":"v1.2.3-canary","target_percent":10,"gradual":false}}` {
		t.Errorf("undo %s, %v", undo, err)
	}
}

func TestPreviewSaysWhoGetsMoreTraffic(t *testing.T) {
	t.Parallel()
	down := newFake(0)
	down.split.Down = []string{"v1.2.3-canary"}
	for name, tt := range map[string]struct {
		action playbook.Action
		want   playbook.Exposure
	}{
		"up":           {bind(t, planner.NewSplit(newFake(10), &quick{}), toQuarter), playbook.ExposureUp},
		"down":         {bind(t, planner.NewSplit(newFake(50), &quick{}), toQuarter), playbook.ExposureDown},
		"there":        {bind(t, planner.NewSplit(newFake(25), &quick{}), toQuarter), ""},
		"rollback":     {bind(t, planner.NewRollback(newFake(50), &quick{}), rollBack), playbook.ExposureDown},
		"deploy":       {bind(t, planner.NewDeploy(down, &quick{}), deployTenth), playbook.ExposureUp},
		"deploy alone": {bind(t, planner.NewDeploy(down, &quick{}), `{"version": "v1.2.3-canary"}`), ""},
	} {
		if got := look(t, tt.action).Exposure; got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

const (
	rollBack    = `{"from_version": "v1.2.3-canary", "to_version": "v1.2.2"}`
	deployTenth = `{"version": "v1.2.3-canary", "initial_percent": 10}`
)

func TestSchedules(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from   float64
		params string
		want   []string
	}{
		"in steps of five": {10, `{"version": "v1.2.3-canary", "target_percent": 30, "steps": 5}`,
			[]string{"15", "20", "25", "30"}},
		"down": {25, `{"version": "v1.2.3-canary", "target_percent": 10, "steps": 3}`,
			[]string{"20", "15", "10"}},
		"at once": {10, `{"version": "v1.2.3-canary", "target_percent": 25, "gradual": false}`, []string{"25"}},
		"small": {1, `{"version": "v1.2.3-canary", "target_percent": 2, "steps": 4}`,
			[]string{"1.25", "1.5", "1.75", "2"}},
		"uneven": {0, `{"version": "v1.2.3-canary", "target_percent": 10, "steps": 3}`,
			[]string{"3", "7", "10"}},
		"from a fraction": {10.5, `{"version": "v1.2.3-canary", "target_percent": 12, "steps": 3}`,
			[]string{"11", "11.5", "12"}},
		"already there": {25, toQuarter, nil},
		"all of it": {50, `{"version": "v1.2.3-canary", "target_percent": 100, "steps": 2}`,
			[]string{"75", "100"}},
		"finer than set": {1, `{"version": "v1.2.3-canary", "target_percent": 1.02, "steps": 5}`,
			[]string{"1.01", "1.02"}},
	} {
		f := newFake(tt.from)
		if name == "in steps of five" {
			f.split.Resolution = 5
		}
		if _, _, err := run(t, bind(t, planner.NewSplit(f, &quick{}), tt.params), nil); err != nil ||
			!cmp.Equal(f.writes, tt.want) {
			t.Errorf("%s: %v, %v", name, f.writes, err)
		}
	}
}

var errStop = errors.New("stop")

func TestStoppedMovesStayAtAStepAndRevertInOne(t *testing.T) {
	t.Parallel()
	f := newFake(10)
	work, out, err := run(t, bind(t, planner.NewSplit(f, &quick{}), toQuarter), func(n int) error {
		if n == 2 {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) || out.Details["percent_now"] != "16" || out.Details["step"] != "2" || out.Undo == nil {
		t.Errorf("outcome %+v, %v", out, err)
	}
	back, err := work.(playbook.Reverter).Revert(t.Context()) //nolint:forcetypeassert // it has to be one
	if err != nil || !cmp.Equal(f.writes, []string{"13", "16", "restore v1.2.2 90%, v1.2.3-canary 10%"}) ||
		back.Details["percent_now"] != "10" {
		t.Errorf("writes %v, back %+v, %v", f.writes, back, err)
	}
}

func TestForeignChangesAreLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFake(10)
	move := func(n int) error {
		if n == 2 {
			f.split.Shares = map[string]float64{"v1.2.2": 60, "v1.2.3-canary": 40}
		}
		return nil
	}
	work, out, err := run(t, bind(t, planner.NewSplit(f, &quick{}), toQuarter), move)
	if now := out.Details["percent_now"]; now != "40" {
		t.Errorf("the result says that the canary has %s%%", now)
	}
	if !errors.Is(err, target.ErrMoved) || len(f.writes) != 2 || !strings.Contains(err.Error(), "v1.2.3-canary 40%") {
		t.Errorf("writes %v, %v", f.writes, err)
	}
	//nolint:forcetypeassert // it has to be one
	if _, err := work.(playbook.Reverter).Revert(t.Context()); !errors.Is(err, target.ErrMoved) || len(f.writes) != 2 {
		t.Errorf("going back: writes %v, %v", f.writes, err)
	}
}

func TestLostAnswersAreLookedUpAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	done := newFake(10)
	done.onSet = func(n int, c target.Change) error {
		if n == 2 {
			done.split.Shares = c.Shares
			return target.ErrUncertain
		}
		return nil
	}
	if _, _, err := run(t, bind(t, planner.NewSplit(done, &quick{}), toQuarter), nil); err != nil ||
		len(done.writes) != 5 {
		t.Errorf("done all the same: writes %v, %v", done.writes, err)
	}
	not := newFake(10)
	not.onSet = func(n int, _ target.Change) error {
		if n == 2 {
			return target.ErrUncertain
		}
		return nil
	}
	if _, out, err := run(t, bind(t, planner.NewSplit(not, &quick{}), toQuarter), nil); !errors.Is(err,
		target.ErrUncertain) || len(not.writes) != 2 || out.Details["percent_now"] != "13" {
		t.Errorf("not done: writes %v, outcome %+v, %v", not.writes, out, err)
	}
	other := newFake(10)
	other.onSet = func(int, target.Change) error {
		other.split.Shares = map[string]float64{"v1.2.2": 93, "v1.2.3-canary": 7}
		return target.ErrUncertain
	}
	if _, out, err := run(t, bind(t, planner.NewSplit(other, &quick{}), toQuarter), nil); !errors.Is(err,
		target.ErrUncertain) || out.Details["percent_now"] != "7" {
		t.Errorf("something else was done: outcome %+v, %v", out, err)
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	a := bind(t, planner.NewSplit(newFake(10), &quick{}), toQuarter)
	facts, err := json.Marshal(look(t, a).Facts)
	if err != nil {
		t.Fatal(err)
	}
	job := playbook.Job{ID: 7, Preview: playbook.Preview{Facts: json.RawMessage(facts)},
		Progress: json.RawMessage(`{"step":2,"percent":16}`)}
	for name, tt := range map[string]struct {
		live float64
		want error
		says string
	}{
		"where it began": {10, playbook.ErrNeverBegan, "before anything was moved"},
		"at a step":      {16, playbook.ErrPartway, "step 2 of 5"},
		"elsewhere":      {33, playbook.ErrPartway, "someone else has moved it: step 2 at 16%"},
		"at the target":  {25, nil, ""},
	} {
		f := newFake(tt.live)
		work, err := bind(t, planner.NewSplit(f, &quick{}), toQuarter).Adopt(t.Context(), job)
		if !errors.Is(err, tt.want) || len(f.writes) != 0 || (err != nil && !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", name, err)
		}
		f.unread = errors.Join(target.ErrUnreachable)
		if _, err := bind(t, planner.NewSplit(f, &quick{}), toQuarter).Adopt(t.Context(), job); !errors.Is(err,
			playbook.ErrLater) {
			t.Errorf("%s, and the planner does not answer: %v", name, err)
		}
		f.unread = nil
		if tt.want == nil {
			if out, err := work.Wait(t.Context()); err != nil || out.Undo == nil || len(f.writes) != 0 {
				t.Errorf("%s: %+v, %v", name, out, err)
			}
		}
	}
}

func TestRollbackAndDeployment(t *testing.T) {
	t.Parallel()
	f := newFake(10)
	work, out, err := run(t, bind(t, planner.NewRollback(f, &quick{}),
		`{"from_version": "v1.2.3-canary", "to_version": "v1.2.2", "immediate": true}`), nil)
	if err != nil || !cmp.Equal(f.writes, []string{"0", "decommission v1.2.3-canary"}) || out.Undo == nil ||
		out.Undo.ActionType != "deploy_planner" {
		t.Errorf("writes %v, %+v, %v", f.writes, out, err)
	}
	//nolint:forcetypeassert // it has to be one
	if _, err := work.(playbook.Reverter).Revert(t.Context()); err != nil || len(f.split.Down) != 0 ||
		f.writes[2] != "restore v1.2.2 90%, v1.2.3-canary 10%" {
		t.Errorf("writes %v, %v", f.writes, err)
	}
	// If a version that is off can have a share, it gets the new share before it is switched on.
	latent := newFake(25)
	latent.split.Latent, latent.split.Down = true, []string{"v1.2.3-canary"}
	a := bind(t, planner.NewDeploy(latent, &quick{}), `{"version": "v1.2.3-canary", "initial_percent": 5}`)
	if reasons := look(t, a).ApprovalReasons; len(reasons) != 1 {
		t.Errorf("traffic for a version that had none needs an approval: %v", reasons)
	}
	if _, _, err := run(t, a, nil); err != nil || !cmp.Equal(latent.writes, []string{"5", "deploy v1.2.3-canary"}) {
		t.Errorf("writes %v, %v", latent.writes, err)
	}
	if notes := look(t, bind(t, planner.NewSplit(func() *fake {
		g := newFake(5)
		g.split.Latent = true
		g.split.Down = []string{"v1.2.3-canary"}
		return g
	}(), &quick{}), toQuarter)).Warnings; len(notes) != 1 || !strings.Contains(notes[0], "has no effect") {
		t.Errorf("notes %v", notes)
	}
}

func TestThirdVersionOrUnclearStableIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		shares map[string]float64
		stable string
		says   string
	}{
		"a third version": {map[string]float64{"v1.2.2": 80, "v1.2.3-canary": 10, "v2": 10}, "v1.2.2",
			"A third version has traffic"},
		"unclear": {map[string]float64{"v1.2.2": 45, "v1.2.3-canary": 10, "v2": 45}, "",
			"not clear which version is the stable one"},
		"only other one": {map[string]float64{"v1.2.2": 0, "v1.2.3-canary": 100}, "", ""},
	} {
		f := newFake(10)
		f.split.Shares, f.split.Stable = tt.shares, tt.stable
		_, err := bind(t, planner.NewSplit(f, &quick{}), toQuarter).Preview(t.Context())
		if (tt.says == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	playbooks := map[string]func(json.RawMessage) error{"canary": planner.DescribeSplit().Check,
		"rollback": planner.DescribeRollback().Check, "deploy": planner.DescribeDeploy().Check}
	for name, tt := range map[string]struct{ playbook, params, says string }{
		"over 100":   {"canary", `{"version": "v", "target_percent": 100.1}`, "target_percent is 100.1"},
		"below 0":    {"canary", `{"version": "v", "target_percent": -0.1}`, "target_percent is -0.1"},
		"no percent": {"canary", `{"version": "v"}`, "target_percent is not set"},
		"NaN":        {"canary", `{"version": "v", "target_percent": NaN}`, "invalid character"},
		"a text": {"canary", `{"version": "v", "target_percent": "25"}`,
			"target_percent is a string. Expected a number."},
		"no version": {"canary", `{"target_percent": 5}`, "version is empty"},
		"no steps":   {"canary", `{"version": "v", "target_percent": 5, "steps": 0}`, "steps is 0"},
		"no duration": {"canary", `{"version": "v", "target_percent": 5, "gradual_duration": "0s"}`,
			"gradual_duration is 0s"},
		"too short": {"canary", `{"version": "v", "target_percent": 5, "gradual_duration": "4s"}`,
			"too short for 5 steps"},
		"unknown input": {"canary", `{"version": "v", "target_percent": 5, "speed": 1}`, "unknown name"},
		"same":          {"rollback", `{"from_version": "v", "to_version": "v"}`, "are both v"},
		"nowhere to go": {"rollback", `{"from_version": "v", "to_version": ".."}`,
			"to_version leads to another path"},
		"deploy over 100": {"deploy", `{"version": "v", "initial_percent": 101}`, "initial_percent is 101"},
	} {
		err := playbooks[tt.playbook](json.RawMessage(tt.params))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	for live, want := range map[float64]string{25: "",
		40: "v1.2.3-canary has 40% of the traffic, but was set to 25%"} {
		observer, ok := bind(t, planner.NewSplit(newFake(live), &quick{}), toQuarter).(playbook.Observer)
		if !ok {
			t.Fatal("it can't be observed")
		}
		if got, err := observer.Observe(t.Context()); err != nil || got.Drift != want {
			t.Errorf("%q, %v", got.Drift, err)
		}
	}
}

var _ target.Planner = &fake{}

// selfChanging is a planner that must not be read for drift.
type selfChanging struct{ *fake }

func (selfChanging) ReadsChange() bool { return true }

func TestPlannerThatChangesWhenReadIsNotReadForDrift(t *testing.T) {
	t.Parallel()
	f := newFake(40)
	f.unread = errors.New("it was read")
	observer, ok := bind(t, planner.NewSplit(selfChanging{f}, &quick{}), toQuarter).(playbook.Observer)
	if !ok {
		t.Fatal("it can't be observed")
	}
	if seen, err := observer.Observe(t.Context()); seen.Drift != "" || err != nil {
		t.Errorf("%q, %v", seen.Drift, err)
	}
}
