package synonyms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// copyWork is a reindex.
type copyWork struct {
	action
	job   playbook.Job
	facts Facts
	run   *reindex.Run
	req   reindex.Request
}

func (a action) newCopy(job playbook.Job, facts Facts) playbook.Work {
	req := a.request(facts.Indices[0], reindex.NewName(facts.Indices[0], job.ID))
	return &copyWork{action: a, job: job, facts: facts, run: a.reindex.Start(req), req: req}
}

func (a action) adoptCopy(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	var state reindex.State
	if err := json.Unmarshal(job.Progress, &state); err != nil {
		return nil, fmt.Errorf("progress of execution %d: %w", job.ID, err)
	}
	run, err := a.reindex.Adopt(ctx, state)
	if errors.Is(err, reindex.ErrNothing) {
		return nil, errors.Join(playbook.ErrNeverBegan, err)
	}
	if err != nil {
		return nil, later(err)
	}
	return &copyWork{action: a, job: job, facts: facts, run: run, req: state.Request}, nil
}

// RemoteID implements playbook.Work.
func (w *copyWork) RemoteID() string { return w.req.New }

// Wait implements playbook.Work.
func (w *copyWork) Wait(ctx context.Context) (playbook.Report, error) {
	out := playbook.Report{Details: map[string]string{"way": string(WayReindex), "old_index": w.req.Old,
		"new_index": w.req.New}}
	ctx = elastic.WithOrigin(ctx, w.job.Name)
	if err := w.privileged(ctx); err != nil {
		return out, err
	}
	under, done := leaving(ctx)
	defer done()
	result, err := w.run.Wait(under, func(ctx context.Context,
		state reindex.State) error {
		return leave(w.job.Checkpoint(ctx, state))
	})
	w.req = w.run.Request()
	out.Details["new_index"] = w.req.New
	w.note(result, &out)
	if err == nil || errors.Is(err, reindex.ErrUnfinished) {
		out.Undo, out.Identity = w.undo(), w.identityAfter(ctx, w.req.New)
	}
	if errors.Is(err, reindex.ErrStillRunning) {
		return out, errors.Join(playbook.ErrNotStopped, err)
	}
	if err != nil && !errors.Is(err, reindex.ErrFailed) && !errors.Is(err, reindex.ErrUnfinished) {
		return out, uncertain(err) // it is not known which index clients use
	}
	if err != nil {
		return out, err
	}
	out.Message = fmt.Sprintf("Reindexed %s into %s, which %s refers to now", text.Count(result.Documents, "document"),
		w.req.New, w.req.Name)
	if remark := result.Remark(); remark != "" {
		out.Message += ". " + remark
	}
	out.Details["kept_index"] = w.req.Kept()
	// Clients use the new index. What follows only reads, and runs even if the caller has given up.
	ctx = context.WithoutCancel(ctx)
	index, err := w.elastic.DescribeNow(ctx, w.req.New)
	if err != nil {
		return out, err
	}
	if err := w.loaded(ctx, index); err != nil {
		return out, err
	}
	return out, w.compare(ctx, w.req.New, w.facts.Probes, &out)
}

// privileged refuses to begin if a privilege is missing that a later step or the undo needs.
func (w *copyWork) privileged(ctx context.Context) error {
	missing, err := w.elastic.MissingPrivileges(ctx, neededFor(w.req))
	if err != nil || len(missing) == 0 {
		return err
	}
	return &problem.Problem{
		What: "Privileges are missing for a reindex of " + w.req.Old,
		Why:  "These credentials lack " + strings.Join(missing, ", ") + ". Nothing has been changed.",
		Next: "Give them to the user or API key, then apply again.", Err: elastic.ErrForbidden,
	}
}

// neededFor returns the privileges of a reindex. Stopping a copy needs manage on the cluster.
func neededFor(r reindex.Request) elastic.Privileges {
	names := []string{r.Old, r.New}
	if r.Name != r.Old {
		names = append(names, r.Name)
	}
	return elastic.Privileges{Cluster: []string{"monitor", "manage"}, Index: []string{"read", "write", "manage"},
		Names: names}
}

// leave marks an error after which a reindex must not clean up, because another process continues it.
func leave(err error) error {
	if errors.Is(err, playbook.ErrTakenOver) {
		return errors.Join(reindex.ErrLeave, err)
	}
	return err
}

// leaving returns a context that ends with ctx, and has the cause that leave returns.
func leaving(ctx context.Context) (context.Context, func()) {
	under, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { end(leave(context.Cause(ctx))) })
	return under, func() { stop(); end(context.Canceled) }
}

// undo returns the action that points clients back to the old index, or nil if that is not kept. Clients must use the
// new index already.
func (w *copyWork) undo() *playbook.Rollback {
	kept := w.req.Kept()
	if kept == "" {
		return nil
	}
	return &playbook.Rollback{ActionType: ActionType, Params: map[string]any{
		"index_name": w.req.Name, "synonym_filter": w.params.SynonymFilter, "restore_index": kept,
	}}
}

func (w *copyWork) note(r reindex.Result, out *playbook.Report) {
	d := out.Details
	d["documents"] = strconv.FormatInt(r.Documents, 10)
	d["copied"] = strconv.FormatInt(r.Copied, 10)
	d["caught_up"], d["removed"] = strconv.FormatInt(r.Written, 10), strconv.FormatInt(r.Removed, 10)
	d["passes"] = strconv.Itoa(r.Passes)
	if r.CopyTime > 0 {
		d["documents_per_second"] = strconv.FormatFloat(float64(r.Copied)/r.CopyTime.Seconds(), 'f', 0, 64)
	}
	pause := "writers_waited_ms"
	if r.Refused {
		pause = "writers_refused_ms"
	}
	if len(r.Late) > 0 {
		d["late_steps"] = strings.Join(r.Late, ", ")
	}
	d[pause] = strconv.FormatInt(r.Pause.Milliseconds(), 10)
}
