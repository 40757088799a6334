package guard

import (
	"errors"
	"fmt"
)

// Errors that a Verdict wraps, for errors.Is.
var (
	// ErrBreached: a guardrail is breached.
	ErrBreached = errors.New("a guardrail is breached")
	// ErrInconclusive: a guardrail could not be evaluated, which is not a pass.
	ErrInconclusive = errors.New("a guardrail is inconclusive")
)

// Verdict stops an execution.
type Verdict struct {
	// Call is Rollback, Fail or Hold.
	Call    Breach
	Reading Reading
	// Bounds are the rail's bounds, in words.
	Bounds string
	// Count is how many readings of this kind there were.
	Count int
}

// Error implements error.
func (v *Verdict) Error() string {
	text := fmt.Sprintf("guardrail %q (%s): %s", v.Reading.Name, v.Bounds, v.Reading)
	if v.Count > 1 {
		text += fmt.Sprintf(", reading %d of this kind", v.Count)
	}
	return text
}

// Unwrap returns ErrBreached or ErrInconclusive.
func (v *Verdict) Unwrap() error {
	if v.Reading.State == Breached {
		return ErrBreached
	}
	return ErrInconclusive
}
