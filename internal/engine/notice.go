package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Event is what a notice is about.
type Event string

// Events. Only apply has events. Each one is sent at most once per execution, and EventApprovalNeeded at most once per
// digest: the journal has an entry about it first, and only the process that wrote the entry sends the notice.
const (
	EventStart          Event = "start"
	EventSuccess        Event = "success"
	EventFailure        Event = "failure" // failed, canceled, or of unknown outcome
	EventRollback       Event = "rollback"
	EventHold           Event = "hold"
	EventPastEstimate   Event = "past_estimate"
	EventEscalation     Event = "escalation"
	EventApprovalNeeded Event = "approval_needed"
)

// Events returns all events.
func Events() []Event {
	return []Event{EventStart, EventSuccess, EventFailure, EventRollback, EventHold, EventPastEstimate, EventEscalation,
		EventApprovalNeeded}
}

// Notice is what people are told about an event. Its texts are not masked.
type Notice struct {
	Event Event
	At    time.Time
	// Execution is the execution's identifier, or empty if there is none.
	Execution string
	// Playbook, Target, and Incident are those of the execution. Incident may be empty.
	Playbook, Target, Incident string
	// Status is the execution's status at the event. Check reports that it changes nothing: its success is a verdict,
	// which may be bad.
	Status string
	Check  bool
	// Message is what happened, in one or two sentences.
	Message string
	// Digest identifies what was reviewed. LogsURL is where the log is, once the execution has ended.
	Digest, LogsURL string
}

// Notifier tells people about events. Notify must not block, and it can't fail: an execution does not depend on it.
type Notifier interface {
	Notify(ctx context.Context, n Notice)
}

// tell sends a notice about an event of an execution.
func (e *Engine) tell(ctx context.Context, rec journal.Record, event Event, message string) {
	if e.cfg.Notifier == nil {
		return
	}
	n := Notice{
		Event: event, At: e.cfg.Clock.Now(), Execution: rec.Ref(), Playbook: rec.Subject.Playbook,
		Target: rec.Subject.Target, Incident: rec.Subject.Incident, Status: string(rec.Status), Message: message,
		Digest: rec.Subject.Digest, Check: rec.Intent.ReadOnly,
	}
	if rec.Result != nil {
		n.LogsURL = rec.Result.LogsURL
	}
	e.cfg.Notifier.Notify(ctx, n)
}

// tellEnd sends a notice about how an execution ended, and another one if several have failed in a row.
func (r *run) tellEnd(ctx context.Context, rec journal.Record) {
	if r.engine.cfg.Notifier == nil {
		return
	}
	event := EventFailure
	switch {
	case rec.Status == journal.StatusSuccess:
		event = EventSuccess
	case rec.Held:
		event = EventHold
	case rec.Result.Details[detailRollback] != "":
		event = EventRollback
	}
	r.engine.tell(ctx, rec, event, rec.Result.Message)
	if event == EventSuccess {
		return
	}
	of := Request{Incident: rec.Subject.Incident}
	of.page.ReadOnly = rec.Intent.ReadOnly
	if why, err := r.engine.escalation(context.WithoutCancel(ctx), r.store, of); err == nil && why != "" {
		r.engine.tell(ctx, rec, EventEscalation, text.Capitalized(why)+".")
	}
}

// pastEstimate watches whether an execution passes twice its estimate, and returns a function that ends the watch. If
// the execution passes it, this is logged, journaled, and sent as a notice, once. The execution continues.
func (r *run) pastEstimate(ctx context.Context, rec journal.Record) (stop func()) {
	expected := rec.Intent.Expected
	told := slices.Contains(rec.Notices, string(EventPastEstimate))
	if expected.IsZero() || told || !expected.Before(rec.Intent.Deadline) {
		return func() {}
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		clk := r.engine.cfg.Clock
		if clk.Sleep(watching, expected.Sub(clk.Now())) == nil {
			r.reportPast(watching, rec)
		}
	}()
	return func() { cancel(); <-done }
}

// reportPast journals that the execution has passed twice its estimate, and sends a notice.
func (r *run) reportPast(ctx context.Context, rec journal.Record) {
	message := fmt.Sprintf("Execution %d of %s has run for more than %s, twice its estimate. It continues until %s. "+
		"Look at its log, and escalate to the team that owns the system.", rec.ID, rec.Subject.Playbook,
		inWords(rec.Intent.Expected.Sub(rec.CreatedAt)), rec.Intent.Deadline.UTC().Format(time.RFC3339))
	logging.Warn(ctx, logging.Engine, "past twice the estimate", "execution", rec.ID, "playbook",
		rec.Subject.Playbook, "target", rec.Subject.Target)
	noted, err := r.store.Append(ctx, rec.Lease(), journal.KindNotice,
		journal.Notice{Event: string(EventPastEstimate), Message: message})
	if err != nil {
		logging.Warn(ctx, logging.Engine, "past twice the estimate, and not journaled", "execution", rec.ID, "error",
			err.Error())
		return // without the entry, another process could send it again
	}
	r.engine.tell(ctx, noted, EventPastEstimate, message)
}

// late returns the warning about an execution that passed twice its estimate, or "".
func late(rec journal.Record) string {
	if rec.Result == nil || !slices.Contains(rec.Notices, string(EventPastEstimate)) {
		return ""
	}
	return fmt.Sprintf("It took %s, more than twice its estimate (%s). Nobody had measured the estimate, so it was "+
		"not stopped. If this happens again, look at its log and at the system.",
		inWords(rec.Result.FinishedAt.Sub(rec.CreatedAt)), inWords(rec.Intent.Expected.Sub(rec.CreatedAt)))
}

// refused sends a notice that an approval is needed, once per digest, and journals this as a dry run that failed.
func (r *run) refused(ctx context.Context, review Review) {
	if r.engine.cfg.Notifier == nil {
		return
	}
	const searched = 100
	about, err := subject(r.req, review)
	if err != nil {
		return
	}
	past, err := r.store.Find(ctx, journal.Filter{Request: about.Request, DryRuns: true, Limit: searched})
	told := slices.ContainsFunc(past, func(rec journal.Record) bool {
		return rec.Intent.Digest == review.Digest && slices.Contains(rec.Notices, string(EventApprovalNeeded))
	})
	if err != nil || told {
		return
	}
	p := approvalProblem(review)
	about.Digest = "" // it shows nothing that a plan could show again
	rec, err := r.store.Begin(ctx, about, journal.KindDryRun, journal.Intent{
		Params: r.req.Params, Triggers: r.req.Triggers, Digest: review.Digest, Holder: r.engine.cfg.Self,
		Session: r.engine.cfg.Terraform.Session, Configuration: r.engine.cfg.Configuration, Problem: p.Error(),
		Notices: []string{string(EventApprovalNeeded)},
	})
	if err != nil {
		logging.Warn(ctx, logging.Engine, "the refusal could not be journaled", "error", err.Error())
		return
	}
	message := fmt.Sprintf("%s: an approval is needed from %s", review.Summary, review.Decision.Who)
	if len(review.ApprovalReasons) > 0 {
		message += ", because " + strings.Join(review.ApprovalReasons, "; ")
	}
	r.engine.cfg.Notifier.Notify(ctx, Notice{
		Event: EventApprovalNeeded, At: rec.CreatedAt, Playbook: about.Playbook, Target: about.Target,
		Incident: about.Incident, Digest: review.Digest, Status: string(rec.Status),
		Message: message + ".",
	})
}
