package resolution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

// remoteID is a constant, because the service gives the changes no name.
const remoteID = "resolve_incident"

// progress is journaled right before each change is sent: without it, nothing was sent.
type progress struct {
	Sending incidents.Verb `json:"sending"`
	// Notes are those of this execution. They are written once, before the first change.
	Notes string `json:"notes"`
}

// Dispatch implements playbook.Logic. Wait sends the changes.
func (a action) Dispatch(_ context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	return &work{action: a, job: job}, nil
}

// Adopt implements playbook.Logic. The change that was journaled last may have been sent or not. It is never sent
// again: the incident shows whether it was made.
func (a action) Adopt(ctx context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	if job.RemoteID == "" || job.Progress == nil {
		return nil, playbook.ErrNeverBegan
	}
	var p progress
	if err := json.Unmarshal(job.Progress, &p); err != nil || p.Sending == "" {
		return nil, fmt.Errorf("the journaled progress can't be read: %w", err)
	}
	now, err := a.service.Incident(ctx, a.params.IncidentID)
	switch {
	case errors.Is(err, incidents.ErrUnreachable), errors.Is(err, incidents.ErrForbidden),
		errors.Is(err, incidents.ErrMalformed):
		return nil, errors.Join(playbook.ErrLater, err)
	case err != nil:
		return nil, err
	case !now.Status.Reached(p.Sending.Leads()):
		return nil, &problem.Problem{
			What: fmt.Sprintf("It is not known whether %q was sent", p.Sending),
			Why: fmt.Sprintf("The process died during that change, and incident %s is %s.", a.params.IncidentID,
				now.Status),
			Next: "Nothing is sent a second time.",
		}
	}
	return &work{action: a, job: job, notes: p.Notes, sent: p.Sending}, nil
}

type work struct {
	action
	job playbook.Job
	// notes are those of the resolution, and sent is the change that was journaled last, by this process or an earlier
	// one.
	notes string
	sent  incidents.Verb
}

// RemoteID implements playbook.Work.
func (w *work) RemoteID() string { return remoteID }

// Wait implements playbook.Work. It reads the incident, and sends each change that it still needs, once.
func (w *work) Wait(ctx context.Context) (playbook.Report, error) {
	if w.notes == "" {
		n, err := w.action.notes(ctx)
		if err != nil {
			return playbook.Report{}, err
		}
		if w.notes = n.text; w.notes == "" {
			return playbook.Report{}, nothingExecuted(w.params.IncidentID)
		}
	}
	now, err := w.read(ctx)
	if err != nil {
		return playbook.Report{}, err
	}
	out := playbook.Report{Details: map[string]string{"status_before": string(now.Status)}}
	for {
		verbs, ok := incidents.Remaining(now.Status)
		if !ok {
			return out, w.unknownStatus(now)
		}
		if len(verbs) == 0 {
			w.report(&out, now)
			return out, nil
		}
		if err := w.job.Checkpoint(ctx, progress{Sending: verbs[0], Notes: w.notes}); err != nil {
			return w.stopped(out, now), err
		}
		if now, err = w.change(ctx, now, verbs[0]); err != nil {
			return w.stopped(out, now), err
		}
		w.sent = verbs[0]
		out.Details["sent"] = strings.TrimPrefix(out.Details["sent"]+", "+string(verbs[0]), ", ")
	}
}

// change sends one change, and returns the incident as it is read back. It is an error if the incident has not reached
// the status.
func (w *work) change(ctx context.Context, before incidents.Incident,
	verb incidents.Verb) (incidents.Incident, error) {
	c := incidents.Change{Verb: verb, Origin: "remediation-" + w.job.Name}
	if verb == incidents.Resolve {
		c.Notes = w.notes // the service keeps the notes of the first change only
	}
	sendErr := w.service.Apply(ctx, w.params.IncidentID, c)
	doubtful := errors.Is(sendErr, incidents.ErrFailed) || errors.Is(sendErr, incidents.ErrUncertain)
	refused := errors.Is(sendErr, incidents.ErrRefused) // somebody else may have been faster
	if sendErr != nil && !doubtful && !refused {
		return before, sendErr // it was not accepted
	}
	// The read shows the result, even if this execution is being stopped.
	now, readErr := w.read(context.WithoutCancel(ctx))
	switch {
	case readErr != nil && refused:
		return before, sendErr
	case readErr != nil && sendErr != nil:
		return before, w.uncertain(verb, errors.Join(sendErr, readErr))
	case readErr != nil:
		return before, w.uncertain(verb, readErr)
	case now.Status.Reached(verb.Leads()):
		return now, context.Cause(ctx)
	case errors.Is(sendErr, incidents.ErrUncertain):
		return now, w.uncertain(verb, sendErr)
	case sendErr != nil:
		return now, sendErr
	}
	return now, &problem.Problem{
		What: fmt.Sprintf("The incident service accepted %q but did not perform it", verb),
		Why:  fmt.Sprintf("Incident %s is %s.", w.params.IncidentID, now.Status),
		Next: "Look at the incident in the service.",
	}
}

func (w *work) read(ctx context.Context) (incidents.Incident, error) {
	return w.service.Incident(ctx, w.params.IncidentID)
}

// uncertain returns the problem for a change whose result can't be read back.
func (w *work) uncertain(verb incidents.Verb, cause error) error {
	why := problem.Of(cause, "The answer was lost")
	return &problem.Problem{
		What: fmt.Sprintf("It is not known whether incident %s was changed by %q", w.params.IncidentID, verb),
		Why:  why.What + ". " + why.Why, Next: "The change was sent once and is not repeated.",
		Err: errors.Join(playbook.ErrUncertain, cause),
	}
}

func (w *work) unknownStatus(now incidents.Incident) error {
	return &problem.Problem{
		What: fmt.Sprintf("Incident %s has the unknown status %q", w.params.IncidentID, now.Status),
		Why:  "The statuses known are open, acknowledged, mitigated, resolved, and closed.",
		Next: "Nothing more was sent. Change the status in the incident service.", Path: []string{"incident_id"},
	}
}

// stopped completes the report of a failed execution with the incident's status and the notes.
func (w *work) stopped(out playbook.Report, now incidents.Incident) playbook.Report {
	out.Message = fmt.Sprintf("Incident %s is %s", w.params.IncidentID, now.Status)
	out.Details["status"] = string(now.Status)
	out.Details["notes"] = w.notes
	return out
}

// report completes the report of a success: whether this execution resolved the incident, and whether the service kept
// the notes.
func (w *work) report(out *playbook.Report, now incidents.Incident) {
	out.Details["status"] = string(now.Status)
	out.Message = fmt.Sprintf("Resolved incident %s", w.params.IncidentID)
	mine := w.sent == incidents.Resolve
	if !mine {
		out.Message = fmt.Sprintf("Incident %s was %s already, so nothing was sent", w.params.IncidentID, now.Status)
		if w.sent != "" {
			out.Message = fmt.Sprintf("Incident %s was %s by somebody else", w.params.IncidentID, now.Status)
		}
	}
	if kept := now.ResolutionNotes(); same(kept, w.notes) {
		out.Details["notes_kept_by_service"] = "true"
		return
	}
	out.Details["notes"], out.Details["notes_kept_by_service"] = w.notes, "false"
	if mine {
		out.Message += ". The service did not keep the notes; they are in result.details.notes"
	}
}

// same compares notes without regard to spaces, which a service may trim.
func same(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }
