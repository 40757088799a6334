// Package problem has the error type with which every layer below Terraform reports a failure to people: what went
// wrong, why, and what to do next. It does not depend on Terraform: package tfkit converts a Problem to a diagnostic.
package problem

import (
	"errors"
	"strings"
)

// Problem is an error that a person can act on.
type Problem struct {
	// What names the failed operation in one line without a period at the end, such as "No dbt model matches the
	// selection".
	What string
	// Why explains the cause, with the evidence that was seen.
	Why string
	// Next says what the reader should do.
	Next string
	// Path is the attribute at fault from the root of its resource or provider block, such as ["dbt", "executable"].
	// Empty if no single attribute is at fault. The step to an element of a list is its index; the step to an element
	// of a map is the Key of its name.
	Path []string
	// Err is the cause or a sentinel for errors.Is, or nil.
	Err error
}

// Error returns all parts in one line.
func (p *Problem) Error() string {
	line := p.What
	for _, part := range []string{p.Why, p.Next} {
		switch {
		case part == "":
		case strings.HasSuffix(line, "."):
			line += " " + part
		default:
			line += ": " + part
		}
	}
	return line
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Detail joins the cause and the next step as two paragraphs.
func (p *Problem) Detail() string {
	switch {
	case p.Why == "":
		return p.Next
	case p.Next == "":
		return p.Why
	default:
		return p.Why + "\n\n" + p.Next
	}
}

// Of returns the Problem in err's chain, or a new one with the given summary as What and err as its cause.
func Of(err error, summary string) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{What: summary, Why: err.Error(), Err: err}
}
