package guard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Watch is a set of rails with their baselines. It is what the journal keeps of them. The zero value watches nothing.
type Watch struct {
	Rails []Rail `json:"rails,omitempty"`
	// Baseline holds the readings before the work began, in the order of Rails.
	Baseline []Reading `json:"baseline,omitempty"`
}

// Begin reads the baselines.
func Begin(ctx context.Context, reader Reader, rails []Rail) Watch {
	w := Watch{Rails: rails}
	for _, r := range rails {
		w.Baseline = append(w.Baseline, r.Take(ctx, reader, nil, true))
	}
	return w
}

// Ready returns a problem where a baseline that is needed is missing, so that the rail could not pass later on.
func (w Watch) Ready() error {
	for i, r := range w.Rails {
		if reading := w.Baseline[i]; r.Relative() && r.OnBreach != Warn && reading.State == Inconclusive {
			return &problem.Problem{
				What: fmt.Sprintf("Guardrail %q has no baseline", r.Name), Why: upper(reading.Why) + ".",
				Next: "Nothing has run. Mend the metric, or take the guardrail out.", Err: ErrInconclusive,
			}
		}
	}
	return nil
}

// Warnings tell the reader of a plan which rails would not pass now.
func (w Watch) Warnings() []string {
	var out []string
	for i, r := range w.Rails {
		if reading := w.Baseline[i]; reading.State != Passed {
			out = append(out, fmt.Sprintf("Guardrail %q (%s) does not pass even now, before anything has run: %s. If "+
				"that is so during or after the execution: %s.",
				r.Name, r.Bounds(), reading, r.consequence(reading.State)))
		}
	}
	return out
}

// consequence is what follows from a state of the rail, in words.
func (r Rail) consequence(state State) string {
	switch r.onto(state) {
	case Rollback:
		return "it goes back"
	case Warn:
		return "it goes on, and says so"
	case Fail:
		return "it stops where it is and fails"
	default:
		return "it stops where it is"
	}
}

// onto is what a state of the rail calls for: what is inconclusive holds, unless the rail only warns.
func (r Rail) onto(state State) Breach {
	if state == Inconclusive && r.OnBreach != Warn {
		return Hold
	}
	return r.OnBreach
}

// Between reads all rails between two steps of the work. The error, if any, is a *Verdict.
func (w Watch) Between(ctx context.Context, reader Reader) ([]Reading, error) {
	readings := make([]Reading, len(w.Rails))
	for i, r := range w.Rails {
		readings[i] = r.Take(ctx, reader, w.baseline(i), false)
	}
	return readings, w.verdict(ctx, readings)
}

// After reads each rail once its wait has passed since the end of the work. It stops at the first that does not pass.
func (w Watch) After(ctx context.Context, reader Reader, clk clock.Clock) ([]Reading, error) {
	order := make([]int, len(w.Rails))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(w.Rails[a].After(), w.Rails[b].After()) })
	var readings []Reading
	waited := time.Duration(0)
	for _, i := range order {
		r := w.Rails[i]
		if more := r.After() - waited; more > 0 {
			if err := clk.Sleep(ctx, more); err != nil {
				return readings, err
			}
			waited = r.After()
		}
		reading := r.Take(ctx, reader, w.baseline(i), false)
		readings = append(readings, reading)
		if err := w.verdict(ctx, []Reading{reading}); err != nil {
			return readings, err
		}
	}
	return readings, nil
}

// Longest is the longest wait of any rail.
func (w Watch) Longest() time.Duration { return Longest(w.Rails) }

// Longest is the longest wait of any rail.
func Longest(rails []Rail) time.Duration {
	longest := time.Duration(0)
	for _, r := range rails {
		longest = max(longest, r.After())
	}
	return longest
}

func (w Watch) baseline(i int) *float64 {
	if i >= len(w.Baseline) {
		return nil
	}
	return w.Baseline[i].Value
}

// verdict is the gravest consequence of readings: going back before failing, failing before holding. Nil where all
// passed or only warn. The end of ctx makes readings inconclusive and is returned itself.
func (w Watch) verdict(ctx context.Context, readings []Reading) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	gravity := []Breach{Hold, Fail, Rollback}
	var worst *Verdict
	for _, reading := range readings {
		i := slices.IndexFunc(w.Rails, func(r Rail) bool { return r.Name == reading.Name })
		if reading.State == Passed || i < 0 {
			continue
		}
		call := w.Rails[i].onto(reading.State)
		if call != Warn && (worst == nil || slices.Index(gravity, call) > slices.Index(gravity, worst.Call)) {
			worst = &Verdict{Call: call, Reading: reading, Bounds: w.Rails[i].Bounds()}
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// Details are the baselines and the newest readings by name, for a result.
func (w Watch) Details(newest []Reading) map[string]string {
	out := map[string]string{}
	for i, r := range w.Rails {
		out["guardrail."+r.Name] = "not read after the work began"
		if i < len(w.Baseline) {
			out["guardrail."+r.Name+".before"] = w.Baseline[i].String()
		}
	}
	for _, reading := range newest {
		out["guardrail."+reading.Name] = strings.TrimSpace(reading.String())
	}
	return out
}
