package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// failure returns the error that a failed apply shows, or nil if e has no cause.
func failure(ctx context.Context, x Execution, e ending) error {
	cause := e.cause
	if cause == nil {
		return nil
	}
	p := *problem.Of(cause, "")
	what := p.What
	p.Err = cause
	p.What = fmt.Sprintf("%s %s (execution %d)", x.Record.Subject.Playbook, verb(x.Record.Status), x.Record.ID)
	if what != "" {
		p.Why = strings.TrimSpace(what + ". " + p.Why)
	}
	p.Why = e.located(p.Why, p.Next)
	switch {
	case errors.Is(context.Cause(ctx), ErrDeadline):
		p.Next = "It was stopped. Escalate to the team that owns the system: an execution that takes this long often " +
			"points to a larger problem. If it is expected, raise timeouts. " + p.Next
		p.Err = errors.Join(ErrDeadline, cause)
	case x.Record.Status == journal.StatusUnknown:
		p.Next += " Check what happened on the target, then change triggers to run it again. It does not run again " +
			"automatically."
		p.Err = errors.Join(ErrOutcome, cause)
	case x.Record.Status == journal.StatusFailed:
		p.Next += " The next apply tries again."
	}
	if x.Record.Result != nil && x.Record.Result.LogsURL != "" {
		p.Next += "\n\nLogs: " + x.Record.Result.LogsURL
	}
	return &p
}

// located adds to why an execution failed where it left the target, unless that is unknown or other says so.
func (e ending) located(why, other string) string {
	where := e.outcome.Message
	if where == "" || e.status == journal.StatusUnknown || strings.Contains(why+other, where) {
		return why
	}
	if why = strings.TrimSpace(why); why != "" && !strings.HasSuffix(why, ".") {
		why += "."
	}
	return strings.TrimSpace(why + " " + where + ".")
}

// stopped returns an error that says why an execution ended early, where that left the target, and what to do next.
func stopped(ctx context.Context, outcome playbook.Report, err error) error {
	if p := new(problem.Problem); errors.As(err, &p) {
		return err
	}
	p := &problem.Problem{What: "The apply was interrupted", Why: outcome.Message, Err: err,
		Next: "Plan again: the new plan starts from the current state of the target."}
	if p.Why != "" {
		p.Why += "."
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrDeadline):
		p.What = "The deadline passed"
	case !errors.Is(cause, context.Canceled):
		p.What = "The execution was stopped: " + cause.Error()
	}
	if outcome.Undo != nil {
		p.Next += " To go back instead, destroy the resource with on_destroy = \"rollback\"."
	}
	return p
}

func verb(s journal.Status) string {
	switch s {
	case journal.StatusCancelled:
		return "was canceled"
	case journal.StatusUnknown:
		return "may or may not have run"
	default:
		return "failed"
	}
}
