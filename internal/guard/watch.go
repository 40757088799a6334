package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Traffic is the effect of an execution on the traffic of a version under test. The values are those of
// playbook.Exposure.
type Traffic string

// Values of Traffic.
const (
	// NoTraffic: the execution moves no traffic.
	NoTraffic Traffic = ""
	// MoreTraffic: a version gets more traffic. Nothing moves unless every guardrail was read and is within bounds.
	MoreTraffic Traffic = "up"
	// LessTraffic: traffic is only taken away from a canary. That contains an incident, and an unreadable metric never
	// stops it.
	LessTraffic Traffic = "down"
)

// Watch is a set of rails with their baselines, as stored in the journal. The zero value watches nothing.
type Watch struct {
	Rails []Rail `json:"rails,omitempty"`
	// Baseline contains the readings before the work began, in the order of Rails.
	Baseline []Reading `json:"baseline,omitempty"`
	Traffic  Traffic   `json:"traffic,omitempty"`
	// Lifted is who lifted the rule that guardrails must be readable, for this execution; empty if nobody did.
	Lifted string `json:"lifted,omitempty"`
	// past are the values from an earlier time, in the order of Rails. Nil: readings are compared with the baseline.
	past []past
	// broken is why the watch in the journal can't be used.
	broken string
}

// Begin reads every rail once, before anything moves.
func Begin(ctx context.Context, reader Reader, rails []Rail, traffic Traffic) Watch {
	w := Watch{Rails: rails, Traffic: traffic, Baseline: make([]Reading, len(rails))}
	var all sync.WaitGroup
	for i, r := range rails {
		all.Go(func() { w.Baseline[i] = r.Take(ctx, reader, nil, true) })
	}
	all.Wait()
	for i, reading := range w.Baseline {
		w.Baseline[i].Symptom = traffic != MoreTraffic && reading.State == Breached
	}
	return w
}

// past is the value of a rail at an earlier time, or why it could not be read.
type past struct {
	value *float64
	why   string
}

// compared adds the reason why the earlier value is missing to a reading that needed it.
func (p past) compared(r Reading) Reading {
	if p.why != "" && r.State == Inconclusive && r.Value != nil {
		r.Why += ": " + p.why
	}
	return r
}

// Compare reads every rail once. Relative bounds compare with the value that then returns, which is the rail's value at
// an earlier time; without a value, they are inconclusive. A bound that is in breach now counts again at the end of the
// session, or after a reading within bounds.
func Compare(ctx context.Context, reader Reader, rails []Rail, then func(Rail) (float64, error)) Watch {
	w := Watch{Rails: rails, Baseline: make([]Reading, len(rails)), past: make([]past, len(rails))}
	var all sync.WaitGroup
	for i, r := range rails {
		all.Go(func() {
			if r.needsBaseline() {
				if v, err := then(r); err == nil {
					w.past[i].value = &v
				} else {
					w.past[i].why = err.Error()
				}
			}
			w.Baseline[i] = w.past[i].compared(r.Take(ctx, reader, w.past[i].value, false))
			w.Baseline[i].Symptom = w.Baseline[i].State == Breached
		})
	}
	all.Wait()
	return w
}

// Decode reads a watch from the journal. A watch that can't be decoded is inconclusive at every reading; it is never
// dropped.
func Decode(text json.RawMessage) Watch {
	var w Watch
	err := json.Unmarshal(text, &w)
	switch {
	case err != nil:
	case len(w.Rails) == 0:
		err = errors.New("it has no guardrails")
	case len(w.Baseline) != len(w.Rails):
		err = fmt.Errorf("it has %d guardrails and %d baselines", len(w.Rails), len(w.Baseline))
	default:
		err = Check(w.Rails)
	}
	if err != nil {
		return Watch{Rails: []Rail{{Name: "guardrails in the journal", OnBreach: Hold}},
			Baseline: make([]Reading, 1), Traffic: w.Traffic,
			broken: "the journal's guardrails can't be used: " + err.Error()}
	}
	return w
}

// Ready returns a problem if a rail stops the execution before anything has changed.
func (w Watch) Ready() error {
	for i, r := range w.Rails {
		reading := w.Baseline[i]
		switch why := w.stops(r, reading); {
		case why == "":
			continue
		case reading.State == Breached:
			return &problem.Problem{
				What: fmt.Sprintf("Guardrail %q is in breach", r.Name), Why: fmt.Sprintf("%s (%s). %s",
					text.Capitalized(reading.Why),
					r.Bounds(), why),
				Next: "Nothing has run. Apply again once the metric is within its bounds.", Err: ErrBreached,
			}
		default:
			next := "Nothing has run. Repair the metric, or remove the guardrail."
			if w.Traffic != MoreTraffic {
				next += " An approval with break_glass = true runs this execution without it."
			}
			return &problem.Problem{
				What: fmt.Sprintf("Guardrail %q can't be read", r.Name),
				Why: fmt.Sprintf("%s. %s", text.Capitalized(reading.Why),
					why),
				Next: next, Err: ErrInconclusive,
			}
		}
	}
	return nil
}

// stops returns why the first reading of a rail stops the execution; empty if it doesn't.
func (w Watch) stops(r Rail, first Reading) string {
	switch {
	case first.State == Passed, first.TooFew && !r.needsBaseline(), r.OnBreach == Warn:
		return ""
	case w.Traffic == MoreTraffic:
		return "A version gets more traffic only while every guardrail can be read and passes."
	case w.Traffic == LessTraffic, first.State == Breached, w.Lifted != "":
		return ""
	default:
		return "An execution does not start while a guardrail can't be read."
	}
}

// Warnings returns texts that tell the reader of a plan which rails need attention.
func (w Watch) Warnings() []string {
	var out []string
	for i, r := range w.Rails {
		reading := w.Baseline[i]
		about := fmt.Sprintf("Guardrail %q (%s): %s.", r.Name, r.Bounds(), reading)
		switch {
		case w.stops(r, reading) != "":
			out = append(out, about+" Apply will refuse to run unless that changes. "+w.stops(r, reading))
		case reading.TooFew:
			out = append(out, about+" Later readings with too few samples are inconclusive: "+
				w.consequence(r, Inconclusive)+".")
		case reading.State == Breached && r.OnBreach != Warn:
			again := "A breach counts again once the value has been within the bound"
			if r.After() > 0 {
				again += fmt.Sprintf(", and at the end of its wait of %s", r.After())
			}
			out = append(out, about+" It is already in breach before the execution. That does not stop the execution. "+
				again+".")
		case reading.State != Passed:
			out = append(out, about+" The execution runs nevertheless.")
		case r.needsBaseline() && reading.Value != nil && *reading.Value == 0:
			out = append(out, about+" Percentages of a baseline of 0 are inconclusive; use min or max.")
		}
	}
	return out
}

// consequence describes what follows from a state of the rail.
func (w Watch) consequence(r Rail, state State) string {
	switch w.responseTo(r, state) {
	case Rollback:
		return "the execution is rolled back"
	case Warn:
		return "the execution continues and reports it"
	case Fail:
		return "the execution stops where it is and fails"
	default:
		return "the execution stops where it is"
	}
}

// responseTo returns what follows from a state of the rail in this execution.
func (w Watch) responseTo(r Rail, state State) Breach {
	if state != Breached && (w.Traffic == LessTraffic || w.Lifted != "" && w.Traffic != MoreTraffic) {
		return Warn
	}
	return r.responseTo(state, w.Traffic)
}

// responseTo returns what follows from a state of the rail. An inconclusive reading holds the execution, unless the
// rail only warns. If traffic was taken away from a canary, a rollback would give it back, so a rollback is a failure
// there.
func (r Rail) responseTo(state State, traffic Traffic) Breach {
	switch {
	case r.OnBreach == Warn:
		return Warn
	case state != Breached:
		return Hold
	case r.OnBreach == Rollback && traffic == LessTraffic:
		return Fail
	default:
		return r.OnBreach
	}
}
