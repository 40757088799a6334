package guard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// readTimeout bounds one reading: a metric that takes longer is no guard.
const readTimeout = 15 * time.Second

// State is what a reading says.
type State string

// Values of State.
const (
	Passed       State = "passed"
	Breached     State = "breached"
	Inconclusive State = "inconclusive" // no data, not a number, or an error: it never counts as passed
)

// Reading is one look at a metric.
type Reading struct {
	Name string `json:"name"`
	// Value is nil where there is none.
	Value *float64 `json:"value,omitempty"`
	// Baseline is the value before the work began; nil where there is none or none is needed.
	Baseline *float64 `json:"baseline,omitempty"`
	State    State    `json:"state"`
	// Why says what is breached or inconclusive.
	Why string `json:"why,omitempty"`
}

// String writes the reading for people.
func (r Reading) String() string {
	out := string(r.State)
	if r.Value != nil {
		out += ", value " + number(*r.Value)
	}
	if r.Baseline != nil {
		out += ", baseline " + number(*r.Baseline)
	}
	if r.Why != "" {
		out += " (" + r.Why + ")"
	}
	return out
}

// errNoSource is the error of a metric for which no source is configured.
var errNoSource = errors.New("no source for such metrics is configured")

// Take reads the rail's metric and judges it. A nil baseline leaves the bounds that need one out while that is what is
// asked for (first is true), and makes the reading inconclusive otherwise.
func (r Rail) Take(ctx context.Context, reader Reader, baseline *float64, first bool) Reading {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	out := Reading{Name: r.Name}
	v, err := 0.0, errNoSource
	if reader != nil {
		v, err = reader.Read(ctx, r.Query)
	}
	switch {
	case err != nil:
		out.State, out.Why = Inconclusive, err.Error()
		return out
	case math.IsNaN(v) || math.IsInf(v, 0):
		out.State, out.Why = Inconclusive, "the value is "+number(v)
		return out
	}
	out.Value = &v
	if r.Relative() {
		out.Baseline = baseline
	}
	out.State, out.Why = r.judge(v, baseline, first)
	return out
}

func (r Rail) judge(v float64, baseline *float64, first bool) (State, string) {
	if r.Min != nil && v < *r.Min {
		return Breached, fmt.Sprintf("%s is below the minimum of %s", number(v), number(*r.Min))
	}
	if r.Max != nil && v > *r.Max {
		return Breached, fmt.Sprintf("%s is above the maximum of %s", number(v), number(*r.Max))
	}
	if !r.Relative() || first {
		return Passed, ""
	}
	if baseline == nil {
		return Inconclusive, "there is no baseline to compare with"
	}
	const whole = 100
	change := whole * (v - *baseline) / math.Abs(*baseline)
	if v == *baseline {
		change = 0 // also where both are zero
	}
	if r.MaxDrop != nil && -change > *r.MaxDrop {
		return Breached, fmt.Sprintf("it dropped by %s %%, and %s %% are allowed", number(-change), number(*r.MaxDrop))
	}
	if r.MaxIncrease != nil && change > *r.MaxIncrease {
		return Breached, fmt.Sprintf("it rose by %s %%, and %s %% are allowed", number(change), number(*r.MaxIncrease))
	}
	return Passed, ""
}
