package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// timed is a metric that depends on the time since its first reading.
type timed struct {
	began time.Time
	value func(after time.Duration) (float64, error)
}

func (*timed) Lacks(guard.Query) string { return "" }

func (m *timed) Read(context.Context, guard.Query) (float64, error) {
	if m.began.IsZero() {
		m.began = time.Now()
	}
	return m.value(time.Since(m.began))
}

// applyGuarded applies three steps under a guardrail, by the clock of the caller's bubble.
func applyGuarded(t *testing.T, metric guard.Reader,
	change func(*fakePlaybook, *engine.Request)) (engine.Execution, *shiftPlaybook, error) {
	t.Helper()
	b := newBench(t, func(c *engine.Config) { c.Metrics, c.Clock = metric, clock.System{} })
	shifts := &shiftPlaybook{fakePlaybook: b.fake}
	b.cfg.Catalogue = playbook.NewCatalogue(shifts)
	req := request("a")
	req.Timeout = 24 * time.Hour
	req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "q"}, Max: ptr(5),
		OnBreach: guard.Rollback}}
	change(b.fake, &req)
	x, err := engine.New(b.cfg).Apply(t.Context(), req, nil, func(engine.Execution) {})
	return x, shifts, err
}

// TestTimeFromBreachToRollback checks that a rollback begins within an interval and a second, wherever in a step the
// breach begins, and even if it ends one scrape interval later.
func TestTimeFromBreachToRollback(t *testing.T) {
	t.Parallel()
	for _, breach := range []time.Duration{time.Second, 61 * time.Second, 118 * time.Second, 5 * time.Minute,
		6*time.Minute + time.Second} {
		for _, interval := range []time.Duration{0, 30 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				bound := max(interval, guard.DefaultInterval)
				m := &timed{value: func(after time.Duration) (float64, error) {
					if after >= breach && after <= breach+bound {
						return 9, nil
					}
					return 1, nil
				}}
				x, shifts, err := applyGuarded(t, m, func(b *fakePlaybook, req *engine.Request) {
					b.exposure, b.step = playbook.ExposureUp, 2*time.Minute
					req.Guardrails[0].Wait = "1m"
					if interval > 0 {
						req.Guardrails[0].Interval = interval.String()
					}
				})
				if !errors.Is(err, guard.ErrBreached) || shifts.reverted != 1 ||
					x.Record.Status != journal.StatusFailed {
					t.Fatalf("breach at %s: %v", breach, err)
				}
				at := slices.IndexFunc(shifts.calls, func(call string) bool {
					return strings.HasPrefix(call,
						"revert at ")
				})
				back, err := time.Parse(time.TimeOnly, strings.TrimPrefix(shifts.calls[at], "revert at "))
				if err != nil {
					t.Fatal(err)
				}
				began, _ := time.Parse(time.TimeOnly, m.began.Format(time.TimeOnly))
				if took := back.Sub(began) - breach; took < 0 || took > bound+time.Second {
					t.Errorf("breach at %s, way back %s later", breach, took)
				}
				if got := x.Record.Result.Details["guardrail.errors.values"]; breach > bound && !strings.Contains(got,
					"1, 9") {
					t.Errorf("values %q in %v", got, x.Record.Result.Details)
				}
			})
		}
	}
}

func TestASingleBadSampleIsToleratedUnderAFailureLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two := 2
		m := &timed{value: func(after time.Duration) (float64, error) {
			if after >= time.Minute && after < time.Minute+guard.DefaultInterval {
				return 9, nil
			}
			return 1, nil
		}}
		x, shifts, err := applyGuarded(t, m, func(b *fakePlaybook, req *engine.Request) {
			b.exposure, b.step = playbook.ExposureUp, 2*time.Minute
			req.Guardrails[0].FailureLimit = &two
		})
		if err != nil || shifts.reverted != 0 || x.Record.Status != journal.StatusSuccess {
			t.Errorf("%+v, %v", x.Record.Status, err)
		}
	})
}

// TestWhatRunsWhileAGuardrailIsInBreachOrDown covers an incident: a cache clear and a containment run while their
// metric is in breach, a containment also runs while the metric can't be read, and a shift to more traffic runs in
// neither case.
func TestWhatRunsWhileAGuardrailIsInBreachOrDown(t *testing.T) {
	t.Parallel()
	const breached, down = "breached", "down"
	glass := approval.Approval{By: "boss@example.com", BreakGlass: true}
	for name, tt := range map[string]struct {
		traffic playbook.Exposure
		metric  string
		given   []approval.Approval
		runs    bool
	}{
		"cache clear in breach":               {"", breached, nil, true},
		"cache clear while down":              {"", down, nil, false},
		"cache clear while down, break-glass": {"", down, []approval.Approval{glass}, true},
		"containment in breach":               {playbook.ExposureDown, breached, nil, true},
		"containment while down":              {playbook.ExposureDown, down, nil, true},
		"more traffic in breach":              {playbook.ExposureUp, breached, nil, false},
		"more traffic while down":             {playbook.ExposureUp, down, nil, false},
		"more traffic, break-glass":           {playbook.ExposureUp, down, []approval.Approval{glass}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &timed{value: func(time.Duration) (float64, error) {
				if tt.metric == down {
					return 0, errors.New("connection refused")
				}
				return 9, nil
			}}
			x, shifts, err := applyGuarded(t, m, func(b *fakePlaybook, req *engine.Request) {
				b.exposure, req.Given.Approvals = tt.traffic, tt.given
			})
			if !tt.runs {
				if x.Record.ID != 0 || shifts.steps != 0 || shifts.count("dispatch") != 0 || err == nil {
					t.Errorf("%s: %d steps, %v", name, shifts.steps, err)
				}
				return
			}
			if err != nil || shifts.steps != 3 || shifts.reverted != 0 {
				t.Fatalf("%s: %d steps, %v", name, shifts.steps, err)
			}
			if lifted := strings.Contains(fmt.Sprint(x.Record.Intent.Remarks),
				"boss@example.com"); lifted != (tt.given != nil) {
				t.Errorf("%s: remarks %q", name, x.Record.Intent.Remarks)
			}
		})
	}
}

// TestAContainmentThatDoesNotHelpNeverGivesTrafficBack expects it to fail at its step.
func TestAContainmentThatDoesNotHelpNeverGivesTrafficBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &timed{value: func(time.Duration) (float64, error) { return 9, nil }}
		x, shifts, err := applyGuarded(t, m, func(b *fakePlaybook, req *engine.Request) {
			b.exposure, req.Guardrails[0].Wait = playbook.ExposureDown, "10m"
		})
		if !errors.Is(err, guard.ErrBreached) || shifts.steps != 3 || shifts.reverted != 0 ||
			x.Record.Status != journal.StatusFailed {
			t.Errorf("%d steps, %d times back, %v", shifts.steps, shifts.reverted, err)
		}
	})
}

func TestAnIntervalLongerThanAStepIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *engine.Config) { c.Metrics = &metrics{values: []any{1.0}} })
	b.fake.step = 10 * time.Second
	req := request("a")
	req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "q"}, Max: ptr(5),
		Interval: "11s", OnBreach: guard.Fail}}
	_, planned := b.Plan(t.Context(), req)
	_, applied := b.apply(t, req)
	for _, err := range []error{planned, applied} {
		if p := problem.Of(err, ""); err == nil || problem.Where(p.Path) != "guardrail[0].interval" {
			t.Errorf("got %v", err)
		}
	}
}

// TestGuardrailsThatCannotBeDecodedHold expects an adopted execution to stop rather than to continue unwatched.
func TestGuardrailsThatCannotBeDecodedHold(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *engine.Config) { c.Metrics = &metrics{values: []any{1.0}} })
	rec := b.leave(t, request("a"), dead(), true)
	if rec.ID == 0 {
		t.Fatal("no record")
	}
	review, err := b.Plan(t.Context(), request("b"))
	if err != nil {
		t.Fatal(err)
	}
	subject := journal.Subject{Playbook: "fake", Target: review.Target, Request: review.Request, Incident: "INC-1"}
	if _, err := b.store.Begin(t.Context(), subject, journal.KindIntent, journal.Intent{
		Params: request("b").Params, Triggers: request("b").Triggers, Holder: dead(),
		Deadline: b.clock.Now().Add(time.Hour), Guardrails: []byte(`{"rails": [{"name": "errors"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	x, err := b.apply(t, request("b"))
	if !errors.Is(err, guard.ErrInconclusive) || x.Record.Status != journal.StatusCancelled {
		t.Errorf("%q, %v", x.Record.Status, err)
	}
}
