package guard

import (
	"errors"
	"fmt"
)

// Errors that a Verdict is, for errors.Is.
var (
	// ErrBreached: a guardrail is breached.
	ErrBreached = errors.New("a guardrail is breached")
	// ErrInconclusive: a guardrail could not be judged, which is not a pass.
	ErrInconclusive = errors.New("a guardrail is inconclusive")
)

// Verdict stops an execution.
type Verdict struct {
	// Call is what to do: Rollback, Fail or Hold.
	Call    Breach
	Reading Reading
	// Bounds are those of the rail, in words.
	Bounds string
}

// Error implements error.
func (v *Verdict) Error() string {
	return fmt.Sprintf("guardrail %q (%s): %s", v.Reading.Name, v.Bounds, v.Reading)
}

// Unwrap returns ErrBreached or ErrInconclusive.
func (v *Verdict) Unwrap() error {
	if v.Reading.State == Inconclusive {
		return ErrInconclusive
	}
	return ErrBreached
}
