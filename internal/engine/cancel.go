package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// ErrCancel is the cause of the end of an execution's context after somebody asked the execution to stop; see
// journal.KindCancel.
var ErrCancel = errors.New("somebody asked the execution to stop")

// obeyCancel stops the work by calling lose if somebody has asked the holder of rec to stop. Heartbeats continue: the
// target is not free until the work has stopped.
func (r *run) obeyCancel(ctx context.Context, rec journal.Record, lose context.CancelCauseFunc) {
	now, err := r.store.Get(ctx, rec.ID)
	if err != nil || now.Cancel == nil {
		return // the next heartbeat looks again
	}
	why := now.Cancel.By + " asked it to stop."
	if now.Cancel.Because != "" {
		why = fmt.Sprintf("%s asked it to stop: %s.", now.Cancel.By, now.Cancel.Because)
	}
	logging.Info(ctx, logging.Engine, "asked to stop", "execution", rec.ID, "by", now.Cancel.By)
	lose(&problem.Problem{What: "The execution was canceled", Why: why, Err: ErrCancel})
}

// obedient is work that reverts its changes when somebody asks it to stop.
type obedient struct {
	playbook.Work
	// plain is the work without its guardrails.
	plain playbook.Work
	under watched
}

// Wait implements playbook.Work.
func (o obedient) Wait(ctx context.Context) (playbook.Report, error) {
	outcome, err := o.Work.Wait(ctx)
	var asked *problem.Problem
	stopped := interrupted(ctx, err) && errors.Is(context.Cause(ctx), ErrCancel)
	if !stopped || errors.Is(err, playbook.ErrUncertain) || errors.Is(err, playbook.ErrNotStopped) ||
		!errors.As(context.Cause(ctx), &asked) {
		return outcome, err
	}
	p := *asked
	p.Err = context.Cause(ctx)
	return guarded{Work: o.plain, under: o.under}.goBack(ctx, outcome, &p)
}
