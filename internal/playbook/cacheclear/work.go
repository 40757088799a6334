package cacheclear

import (
	"context"
	"fmt"
	"strconv"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// remoteID is a constant, because Elasticsearch gives the request no name.
const remoteID = "cache_clear"

// progress is journaled right before the request is sent: without it, nothing was sent.
type progress struct {
	Clearing bool `json:"clearing"`
}

// Dispatch implements playbook.Logic. Wait sends the request, once the dispatch is in the journal.
func (a action) Dispatch(_ context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	return work{action: a, job: job, facts: facts}, nil
}

// Adopt implements playbook.Logic.
func (a action) Adopt(_ context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	if job.RemoteID == "" || job.Progress == nil {
		return nil, playbook.ErrNeverBegan
	}
	return nil, &problem.Problem{
		What: "The outcome of clearing the caches of " + a.params.IndexName + " can't be determined",
		Why:  "The process died during the request, and Elasticsearch keeps no record of such requests.",
		Next: "Clearing caches again does no harm.",
	}
}

type work struct {
	action
	job   playbook.Job
	facts Facts
}

// RemoteID implements playbook.Work.
func (w work) RemoteID() string { return remoteID }

// Wait implements playbook.Work.
func (w work) Wait(ctx context.Context) (playbook.Report, error) {
	out := playbook.Report{Details: map[string]string{}}
	ctx = elastic.WithOrigin(ctx, w.job.Name)
	// The sizes are for the record: caches are also cleared without the privilege to read their sizes.
	before, beforeErr := w.elastic.CacheSizes(ctx, w.facts.Indices)
	if err := w.job.Checkpoint(ctx, progress{Clearing: true}); err != nil {
		return out, err
	}
	if err := w.elastic.ClearCaches(ctx, w.facts.Indices, w.caches()); err != nil {
		return out, err
	}
	out.Message = fmt.Sprintf("Cleared the %s of %s", w.what(), elastic.Names(w.facts.Indices))
	after, err := w.elastic.CacheSizes(ctx, w.facts.Indices)
	if beforeErr != nil || err != nil {
		out.Details["sizes"] = "could not be read"
		return out, nil //nolint:nilerr // the work is done; only its figures are missing
	}
	note := func(name string, size func(elastic.CacheSizes) int64) {
		if size(before) == 0 && size(after) == 0 {
			return
		}
		out.Details[name+"_bytes_before"] = strconv.FormatInt(size(before), 10)
		out.Details[name+"_bytes_after"] = strconv.FormatInt(size(after), 10)
	}
	note(Query, func(s elastic.CacheSizes) int64 { return s.Query })
	note(Request, func(s elastic.CacheSizes) int64 { return s.Request })
	note(Fielddata, func(s elastic.CacheSizes) int64 { return s.Fielddata })
	return out, nil
}
