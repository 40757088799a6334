package synonyms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// errUnseen is the reason why an adopted reload is not considered done.
var errUnseen = errors.New("what Elasticsearch loads from a file is not visible, and there are no probe_texts to " +
	"verify it")

// requestCache selects the cache that contains results of queries with the old synonyms.
var requestCache = elastic.Caches{Request: true}

// progress is what the journal contains about a reload or a close and open.
type progress struct {
	// Index is the index about to be closed; Started is when it was last opened, in milliseconds since 1970.
	Index   string `json:"index,omitempty"`
	Started int64  `json:"started,omitempty"`
	// Reloading reports that the reload is about to be sent.
	Reloading bool `json:"reloading,omitempty"`
}

// Dispatch implements playbook.Logic. Wait sends everything, and journals each step before it sends it.
func (a action) Dispatch(_ context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	if err := facts.check(); err != nil {
		return nil, err
	}
	if facts.Way == WayReindex {
		return a.newCopy(job, facts), nil
	}
	return &work{action: a, job: job, facts: facts}, nil
}

// check refuses incomplete facts from the journal.
func (f Facts) check() error {
	if f.Way == "" || len(f.Indices) == 0 {
		return errors.New("the facts of the preview lack the method or the index")
	}
	return nil
}

// Adopt implements playbook.Logic.
func (a action) Adopt(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	if job.RemoteID == "" || job.Progress == nil {
		return nil, playbook.ErrNeverBegan // every step is journaled before it is sent
	}
	if err := facts.check(); err != nil {
		return nil, err
	}
	if facts.Way == WayReindex {
		return a.adoptCopy(ctx, job, facts)
	}
	w := &work{action: a, job: job, facts: facts}
	if err := json.Unmarshal(job.Progress, &w.past); err != nil {
		return nil, fmt.Errorf("progress of execution %d: %w", job.ID, err)
	}
	if facts.Way == WayCloseOpen {
		return w, nil // the index itself shows what is left to do
	}
	index, err := a.elastic.DescribeNow(ctx, facts.Indices[0])
	if err != nil {
		return nil, later(err)
	}
	seen, err := a.seenLoaded(ctx, index)
	if err == nil && !seen {
		err = errUnseen
	}
	if elastic.Unanswered(err) {
		return nil, later(err)
	}
	if err != nil {
		return nil, &problem.Problem{
			What: "The outcome of the reload of " + a.params.IndexName + " can't be determined",
			Why:  "The process died during the request. " + problem.Of(err, "").Error(),
			Next: "Reloading again does no harm.", Err: err,
		}
	}
	return w, nil
}

// later adds ErrLater to an error that says nothing about the outcome of the work.
func later(err error) error {
	if elastic.Unanswered(err) {
		return errors.Join(playbook.ErrLater, err)
	}
	return err
}

type work struct {
	action
	job   playbook.Job
	facts Facts
	// past is what the dead process had journaled, or empty.
	past progress
}

// RemoteID implements playbook.Work.
func (w *work) RemoteID() string { return string(w.facts.Way) }

// Wait implements playbook.Work.
func (w *work) Wait(ctx context.Context) (playbook.Report, error) {
	out := playbook.Report{Details: map[string]string{"way": string(w.facts.Way),
		"indices": strings.Join(w.facts.Indices, ",")}}
	ctx = elastic.WithOrigin(ctx, w.job.Name)
	var err error
	if w.facts.Way == WayCloseOpen {
		err = w.closeOpen(ctx, &out)
	} else {
		err = w.reload(ctx, &out)
	}
	if err != nil {
		return out, err
	}
	// The work is done. What follows only reads, and runs even if the caller has given up.
	ctx = context.WithoutCancel(ctx)
	for _, name := range w.facts.Indices {
		index, err := w.elastic.DescribeNow(ctx, name)
		if err != nil {
			return out, err
		}
		if err := w.loaded(ctx, index); err != nil {
			return out, err
		}
	}
	return out, w.compare(ctx, w.facts.Indices[0], w.facts.Probes, &out)
}

func (w *work) reload(ctx context.Context, out *playbook.Report) error {
	if !w.past.Reloading {
		if err := w.job.Checkpoint(ctx, progress{Reloading: true}); err != nil {
			return err
		}
		set, _ := strings.CutPrefix(w.facts.Source, "set ")
		if set == w.facts.Source {
			set = ""
		}
		reached, err := w.elastic.ReloadAnalyzers(ctx, w.facts.Indices, set)
		if err != nil {
			return err
		}
		wanted := elastic.Reloaded{}
		for _, an := range w.facts.Analyzers {
			wanted[an.Index] = an.Names
		}
		if lacks := reached.Lacks(wanted); len(lacks) > 0 {
			return &problem.Problem{
				What: "Not every analyzer was reloaded", Why: "Elasticsearch did not reload " +
					strings.Join(lacks, ", ") + ".", Next: "Plan again.", Err: ErrStale,
			}
		}
	}
	out.Message = fmt.Sprintf("Reloaded the search analyzers of %s", elastic.Names(w.facts.Indices))
	// The synonyms are loaded, whether the cache is cleared or not.
	if serverless, err := w.elastic.Serverless(ctx); err == nil && serverless {
		out.Details["request_cache"] = "not cleared: serverless Elasticsearch has no API for it"
		return nil
	}
	if err := w.elastic.ClearCaches(ctx, w.facts.Indices, requestCache); err != nil {
		out.Details["request_cache"] = "could not be cleared: " + problem.Of(err, "").Why
	}
	return nil
}

// closeOpen closes and opens the indices one after the other. In an adopted execution, it continues with the index that
// the dead process had reached.
func (w *work) closeOpen(ctx context.Context, out *playbook.Report) error {
	var longest time.Duration
	from := max(0, slices.Index(w.facts.Indices, w.past.Index))
	for _, index := range w.facts.Indices[from:] {
		if index == w.past.Index {
			over, err := w.reopen(ctx, index)
			if err != nil {
				return err
			}
			if over {
				continue
			}
		}
		closed, err := w.oneCloseOpen(ctx, index)
		longest = max(longest, closed)
		if err != nil {
			return err
		}
	}
	out.Message = fmt.Sprintf("Closed and opened %s", elastic.Names(w.facts.Indices))
	out.Details["longest_downtime_ms"] = fmt.Sprint(longest.Milliseconds())
	return nil
}

// reopen opens an index that a dead process may have left closed, and reports whether that process had closed it: then
// its synonyms are loaded. It does all this even if ctx has ended: the deadline may have passed before the execution
// was adopted.
func (w *work) reopen(ctx context.Context, index string) (over bool, err error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer done()
	closed, err := w.elastic.IsClosed(ctx, index)
	if err != nil && !elastic.IsMissing(err) || closed {
		// If that can't be determined, the index is opened with retries all the same: opening an open index does no
		// harm.
		if err := w.open(ctx, index); err != nil || closed {
			return true, err
		}
	} else if err != nil {
		return false, err
	}
	started, err := w.elastic.Started(ctx, index)
	return started != w.past.Started, err
}

// oneCloseOpen closes and opens one index, and returns how long it was closed.
func (w *work) oneCloseOpen(ctx context.Context, index string) (time.Duration, error) {
	// Rules that can't be loaded would keep the index from opening again, so they are checked right before the close.
	now, err := w.elastic.DescribeNow(ctx, index)
	if err != nil {
		return 0, err
	}
	c := choice{indices: []elastic.Index{now}, synonyms: make([]elastic.Synonyms, 1)}
	if c.synonyms[0], err = now.Synonyms(w.params.SynonymFilter); err != nil {
		return 0, err
	}
	if err := w.loadable(ctx, &c); err != nil {
		return 0, err
	}
	started, err := w.elastic.Started(ctx, index)
	if err != nil {
		return 0, err
	}
	if err := w.job.Checkpoint(ctx, progress{Index: index, Started: started}); err != nil {
		return 0, err
	}
	begin := w.clk.Now()
	closeErr := w.elastic.Close(ctx, index)
	// Whatever the result, and even if the caller has given up: the index is open when this returns.
	openErr := w.open(ctx, index)
	took := w.clk.Now().Sub(begin)
	if err := errors.Join(closeErr, openErr); err != nil {
		return took, err
	}
	return took, context.Cause(ctx)
}

const (
	// openTimeout bounds the attempts to open an index; openPause is the time between two of them.
	openTimeout = 2 * time.Minute
	openPause   = 2 * time.Second
)

// open opens an index, with retries. It continues when ctx has ended.
func (w *work) open(ctx context.Context, index string) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer done()
	for {
		err := w.elastic.Open(ctx, index)
		if err == nil {
			return nil
		}
		if w.clk.Sleep(ctx, openPause) != nil || errors.Is(err, elastic.ErrRequest) ||
			errors.Is(err, elastic.ErrForbidden) {
			p := *problem.Of(err, "")
			p.What = index + " is CLOSED and can't be opened"
			p.Next = fmt.Sprintf("Correct what Elasticsearch complains about (the %s), then POST /%s/_open. Searches "+
				"and writes fail until then.", w.facts.Source, index)
			return &p
		}
	}
}
