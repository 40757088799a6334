package guard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// ReadTimeout bounds one reading.
const ReadTimeout = 15 * time.Second

// Errors that the error from a Reader wraps.
var (
	// ErrNoValue: the source answered without a usable value.
	ErrNoValue = errors.New("there is no value to evaluate")
	// ErrNoData: the source has nothing to count. It comes with ErrNoValue.
	ErrNoData = errors.New("there is no data")
)

// State is the result of a reading.
type State string

// Values of State. Only Passed counts as passed.
const (
	Passed       State = "passed"
	Breached     State = "breached"
	Inconclusive State = "inconclusive" // no data, not a number, too few samples, or nothing to compare with
	Unreadable   State = "error"        // the source could not be read
)

// Reading is one reading of a metric.
type Reading struct {
	Name string `json:"name"`
	// At is when it was read.
	At time.Time `json:"at,omitzero"`
	// Value is nil if there is none.
	Value *float64 `json:"value,omitempty"`
	// Baseline is the value for relative bounds: the value before the work began, or that of the stable version. Nil if
	// there is none or none is needed.
	Baseline *float64 `json:"baseline,omitempty"`
	State    State    `json:"state"`
	// Symptom reports that the breach existed before the work began and does not count.
	Symptom bool `json:"symptom,omitempty"`
	// TooFew reports that there are fewer samples than the guardrail requires.
	TooFew bool `json:"too_few,omitempty"`
	// Bound is the bound that is breached.
	Bound Bound `json:"bound,omitempty"`
	// Why is the reason if the state is not Passed.
	Why string `json:"why,omitempty"`
}

// String formats the reading for people.
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
	if r.Symptom {
		out += ", as before the execution"
	}
	return out
}

// Bound names one of the bounds of a rail.
type Bound string

// Values of Bound.
const (
	BoundMin      Bound = "min"
	BoundMax      Bound = "max"
	BoundRelative Bound = "relative"
)

// Take reads the rail's metric and evaluates it. A nil baseline makes a bound that needs one inconclusive, unless first
// is set: then that bound passes, because the value itself becomes the baseline.
func (r Rail) Take(ctx context.Context, reader Reader, baseline *float64, first bool) Reading {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	out := Reading{Name: r.Name}
	if reader == nil {
		return out.undecided(errors.New("no source for such metrics is configured"))
	}
	// Read the samples first: a ratio without traffic has no value.
	if r.Samples != "" && r.MinSamples != nil {
		n, err := read(ctx, reader, r.prometheus(r.Samples))
		switch {
		case errors.Is(err, ErrNoData) || err == nil && n < *r.MinSamples:
			out.State, out.TooFew = Inconclusive, true
			out.Why = fmt.Sprintf("%s samples, and at least %s are needed", number(n), number(*r.MinSamples))
			return out
		case err != nil:
			return out.undecided(fmt.Errorf("samples_query: %w", err))
		}
	}
	v, at, err := readNow(ctx, reader, r.Query)
	if err != nil {
		return out.undecided(err)
	}
	out.Value = &v
	if r.Relative() {
		if r.Stable != "" {
			stable, err := readAt(ctx, reader, r.prometheus(r.Stable), at)
			if err != nil {
				return out.undecided(fmt.Errorf("stable_query: %w", err))
			}
			baseline, first = &stable, false
		}
		out.Baseline = baseline
	}
	out.State, out.Bound, out.Why = r.judge(v, baseline, first)
	return out
}

// read returns a finite value.
func read(ctx context.Context, reader Reader, q Query) (float64, error) {
	v, err := reader.Read(ctx, q)
	return finite(v, err)
}

// readNow is read, and also returns the time of the value, if the reader knows it.
func readNow(ctx context.Context, reader Reader, q Query) (float64, time.Time, error) {
	timed, ok := reader.(MomentReader)
	if !ok {
		v, err := read(ctx, reader, q)
		return v, time.Time{}, err
	}
	v, at, err := timed.ReadNow(ctx, q)
	v, err = finite(v, err)
	return v, at, err
}

// readAt is read for the time at which another value was read. A zero time is now.
func readAt(ctx context.Context, reader Reader, q Query, at time.Time) (float64, error) {
	past, ok := reader.(PastReader)
	if !ok || at.IsZero() {
		return read(ctx, reader, q)
	}
	return finite(past.ReadAt(ctx, q, at))
}

func finite(v float64, err error) (float64, error) {
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		return 0, fmt.Errorf("%w: the value is %s", ErrNoValue, number(v))
	}
	return v, err
}

// undecided returns the reading for an error from the reader.
func (r Reading) undecided(err error) Reading {
	r.State, r.Why = Unreadable, err.Error()
	if errors.Is(err, ErrNoValue) {
		r.State = Inconclusive
	}
	return r
}

func (r Rail) judge(v float64, baseline *float64, first bool) (State, Bound, string) {
	if r.Min != nil && v < *r.Min {
		return Breached, BoundMin, fmt.Sprintf("%s is below the minimum of %s", number(v), number(*r.Min))
	}
	if r.Max != nil && v > *r.Max {
		return Breached, BoundMax, fmt.Sprintf("%s is above the maximum of %s", number(v), number(*r.Max))
	}
	switch {
	case !r.Relative() || first:
		return Passed, "", ""
	case baseline == nil:
		return Inconclusive, "", "there is no baseline to compare with"
	case v == *baseline:
		return Passed, "", "" // also if both are zero
	case *baseline == 0 && (v > 0 && r.MaxIncrease == nil || v < 0 && r.MaxDrop == nil):
		return Passed, "", ""
	case *baseline == 0:
		return Inconclusive, "", "the baseline is 0, so a change in percent can't be computed"
	}
	const whole = 100
	change := whole * (v - *baseline) / math.Abs(*baseline)
	if r.MaxDrop != nil && -change > *r.MaxDrop {
		return Breached, BoundRelative, fmt.Sprintf("a drop of %s%%, and %s%% is allowed", number(-change),
			number(*r.MaxDrop))
	}
	if r.MaxIncrease != nil && change > *r.MaxIncrease {
		return Breached, BoundRelative, fmt.Sprintf("an increase of %s%%, and %s%% is allowed", number(change),
			number(*r.MaxIncrease))
	}
	return Passed, "", ""
}
