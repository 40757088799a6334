package elastic

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// Config configures a Store. Client, Index, and Clock are required.
type Config struct {
	// Client connects to the cluster with the journal.
	Client *elasticsearch.Client
	// Index is the journal's name; see CheckIndex.
	Index string
	// Clock dates entries and heartbeats, and paces retries.
	Clock clock.Clock
	// Existing makes Open fail with ErrUnavailable if there is no journal, instead of preparing one.
	Existing bool
}

// limits are the values that tests override.
type limits struct {
	rangeSize               int64
	version                 int
	retryFor, open, attempt time.Duration
}

func usual() limits {
	return limits{rangeSize: rangeSize, version: schemaVersion, retryFor: retryFor, open: openRetryFor,
		attempt: attemptTimeout}
}

// Store implements journal.Store.
type Store struct {
	client *elasticsearch.Client
	index  string
	// existing reports that Open may not prepare a journal.
	existing bool
	clock    clock.Clock
	limits   limits
	// retryFor is openRetryFor during Open and the longer limit afterwards.
	retryFor time.Duration
	// writing allows one append at a time, because each entry is chained to the one before.
	writing chan struct{}
	closed  atomic.Bool
	// restUntil is the time until which requests are sent only once, in nanoseconds since 1970.
	restUntil atomic.Int64

	mu sync.Mutex
	// seen is the newest view of the journal in this process.
	seen *view
	// searchable is the newest entry that searches are known to find.
	searchable int64
	// renewed are the leases that this process has renewed.
	renewed map[journal.Lease]bool
}

var errClosed = errors.New("the journal has been closed")

// Open opens the journal and prepares it if there is none. It fails with a *problem.Problem that wraps
// journal.ErrForeign, ErrDamaged, ErrNewer or ErrUnavailable.
func Open(ctx context.Context, cfg Config) (*Store, error) { return open(ctx, cfg, usual()) }

func open(ctx context.Context, cfg Config, l limits) (*Store, error) {
	s := &Store{
		index: cfg.Index, existing: cfg.Existing, clock: cfg.Clock, limits: l, retryFor: l.open,
		writing: make(chan struct{}, 1), renewed: map[journal.Lease]bool{},
	}
	if why := CheckIndex(s.index); why != "" {
		return nil, s.unfit(why)
	}
	s.client = cfg.Client.WithClock(cfg.Clock)
	err := s.prepare(ctx)
	if err == nil {
		s.seen, err = s.load(ctx)
	}
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	s.retryFor = l.retryFor
	return s, nil
}

// Begin implements journal.Store.
func (s *Store) Begin(ctx context.Context, subject journal.Subject, kind journal.Kind,
	intent journal.Intent) (journal.Record, error) {
	if err := (journal.Record{}).Accepts(kind); err != nil {
		return journal.Record{}, err
	}
	body, err := journal.Encode(kind, intent)
	if err != nil {
		return journal.Record{}, err
	}
	subject = validSubject(subject)
	_, record, err := s.append(ctx, func(v *view) (journal.Entry, error) {
		locks := kind == journal.KindIntent && !intent.ReadOnly
		if held, busy := v.holder(subject.Target, intent.Locks); busy && locks {
			return journal.Entry{}, &journal.BusyError{Record: held}
		}
		return journal.Entry{Execution: v.head.Seq + 1, Kind: kind, Subject: subject, Body: validBody(body)}, nil
	})
	return record, s.explain(ctx, err)
}

// Append implements journal.Store.
func (s *Store) Append(ctx context.Context, lease journal.Lease, kind journal.Kind, body any) (journal.Record, error) {
	text, err := journal.Encode(kind, body)
	if err != nil {
		return journal.Record{}, err
	}
	var before journal.Record
	entry, _, err := s.append(ctx, func(v *view) (journal.Entry, error) {
		var err error
		if before, err = s.at(ctx, v, lease.Execution); err != nil {
			return journal.Entry{}, err
		}
		if before.DryRun {
			return journal.Entry{}, journal.ErrNotFound
		}
		return journal.Entry{Execution: lease.Execution, Kind: kind, Subject: before.Subject, Body: validBody(text)},
			before.Admits(lease, kind)
	})
	if err != nil {
		return journal.Record{}, s.explain(ctx, err)
	}
	if kind == journal.KindTakeover || kind == journal.KindOutcome {
		s.forget(ctx, lease, kind)
	}
	record, err := before.With(entry)
	return record, s.explain(ctx, err)
}

// append adds the entry that next makes from the present view. If another process appended first, next makes the entry
// again. A refusal by next counts only if the view is up to date.
func (s *Store) append(ctx context.Context, next func(*view) (journal.Entry,
	error)) (journal.Entry, journal.Record, error) {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return journal.Entry{}, journal.Record{}, ctx.Err()
	}
	for v, current := s.latest(), false; ; current = true {
		e, refusal := next(v)
		switch {
		case refusal == nil:
			e, record, err := s.try(ctx, v, e)
			if !errors.Is(err, errTaken) {
				return e, record, err
			}
			v = s.latest() // try has read on
		case current:
			return journal.Entry{}, journal.Record{}, refusal
		default:
			var err error
			if v, err = s.forward(ctx, v, nil); err != nil {
				return journal.Entry{}, journal.Record{}, err
			}
		}
	}
}

// errTaken reports that another process has appended in the meantime.
var errTaken = errors.New("the entry already exists")

// try creates e as the entry after v, or fails with errTaken.
func (s *Store) try(ctx context.Context, v *view, e journal.Entry) (journal.Entry, journal.Record, error) {
	e.Seq = v.head.Seq + 1
	// Remove the monotonic reading, so the returned time equals the one that will be read.
	e.At = s.clock.Now().UTC().Round(0)
	e, err := journal.Seal(e, v.head.Hash)
	if err != nil {
		return journal.Entry{}, journal.Record{}, err
	}
	after, record, err := v.with(e)
	if err != nil {
		return journal.Entry{}, journal.Record{}, err
	}
	doc := newDocument(e, after.openIDs(), rand.Text())
	err = s.create(ctx, doc)
	switch {
	case err == nil:
		s.advance(after)
		return e, record, nil
	case !elasticsearch.HasStatus(err, http.StatusConflict):
		return journal.Entry{}, journal.Record{}, err
	}
	// The document exists. It is this entry if the answer to an earlier attempt was lost.
	mine := false
	_, err = s.forward(ctx, v, func(d document) { mine = mine || d.Seq == doc.Seq && d.Nonce == doc.Nonce })
	switch {
	case err != nil:
		return journal.Entry{}, journal.Record{}, err
	case !mine:
		return journal.Entry{}, journal.Record{}, errTaken
	}
	// The request whose answer was lost may not be on the disk yet, although its document can already be read.
	return e, record, s.flush(ctx, doc.Seq)
}

// create writes the document. It first creates the index if the entry is the first one of its range.
func (s *Store) create(ctx context.Context, d document) error {
	if s.opensRange(d.Seq) {
		if err := s.createRange(ctx, s.rangeOf(d.Seq)); err != nil {
			return err
		}
	}
	body, err := encode(d)
	if err != nil {
		return err
	}
	err = s.do(ctx, request{
		what: fmt.Sprintf("Append entry %d", d.Seq), method: http.MethodPut, body: body,
		path: "/" + s.rangeOf(d.Seq) + "/_create/" + documentID(d.Seq) + "?timeout=" + serverTimeout,
		read: created(d.Seq),
	})
	if elasticsearch.HasType(err, missingIndex) {
		return fmt.Errorf("%w: the index %s is gone, and entries before %d were in it", journal.ErrDamaged,
			s.rangeOf(d.Seq), d.Seq)
	}
	return err
}

// created returns a reader of the answer that verifies that a success really came from Elasticsearch.
func created(seq int64) func([]byte) error {
	type answer struct {
		ID     string `json:"_id"`
		Result string `json:"result"`
	}
	return decode(&answer{}, func(a answer) error {
		if a.ID != documentID(seq) || a.Result != "created" {
			return fmt.Errorf("%s %q", a.Result, a.ID)
		}
		return nil
	})
}

func (s *Store) latest() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// advance stores v if it is newer than the present view.
func (s *Store) advance(v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.head.Seq > s.seen.head.Seq {
		s.seen = v
	}
}

// Close implements journal.Store. The connections belong to the client and stay open.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

var _ journal.Store = (*Store)(nil)
