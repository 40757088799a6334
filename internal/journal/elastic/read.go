package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

const (
	// glance is how many entries are requested at first: usually there are none or only a few.
	glance = 8
	// page is how many entries or records are read at a time.
	page = 100
	// farBehind is how many pages are read in sequence before it is faster to start again from the newest entry.
	farBehind = 20
)

// forward reads what was appended since v. It reads documents by their identifiers, which finds everything that was
// written. It passes each one to seen, unless seen is nil.
func (s *Store) forward(ctx context.Context, v *view, seen func(document)) (*view, error) {
	for i, want := 0, glance; ; i, want = i+1, page {
		if i == farBehind && seen == nil {
			return s.reload(ctx)
		}
		found, err := s.following(ctx, v.head.Seq, want)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if d.Kind == kindRemoved {
				return s.reload(ctx) // the entries after v can't be followed any more
			}
			if v, err = v.withDocument(d); err != nil {
				return nil, err
			}
			if seen != nil {
				seen(d)
			}
		}
		if len(found) < want {
			s.advance(v)
			return v, nil
		}
	}
}

// following returns up to count documents after the one with the number seq, without a gap. Other processes may write
// during the read. A missing document is therefore requested again before it counts as a gap.
func (s *Store) following(ctx context.Context, seq int64, count int) ([]document, error) {
	for again := false; ; again = true {
		found, err := s.documents(ctx, seq+1, seq+int64(count))
		if err != nil {
			return nil, err
		}
		whole := 0
		for whole < len(found) && found[whole].Seq == seq+int64(whole)+1 {
			whole++
		}
		if whole == len(found) {
			return found, nil
		}
		if again {
			return nil, fmt.Errorf("%w: entry %d is missing, but entry %d exists", journal.ErrDamaged,
				seq+int64(whole)+1, found[whole].Seq)
		}
	}
}

// fetched is one document in an answer.
type fetched struct {
	ID     string          `json:"_id"`
	Found  bool            `json:"found"`
	Source json.RawMessage `json:"_source"`
	Error  *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

type several struct {
	Docs []fetched `json:"docs"`
}

// documents returns the existing documents from one number to another, in order.
func (s *Store) documents(ctx context.Context, from, to int64) ([]document, error) {
	var all []document
	for from <= to {
		last := min(to, s.lastOfRange(from))
		found, err := s.inRange(ctx, from, last)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		from = last + 1
	}
	return all, nil
}

func (s *Store) inRange(ctx context.Context, from, to int64) ([]document, error) {
	var ids []string
	for seq := from; seq <= to; seq++ {
		ids = append(ids, documentID(seq))
	}
	body, err := encode(map[string][]string{"ids": ids})
	if err != nil {
		return nil, err
	}
	var answer several
	err = s.do(ctx, request{
		what: fmt.Sprintf("Read entries %d to %d", from, to), method: http.MethodPost, path: "/" + s.rangeOf(from) +
			"/_mget", body: body,
		read: decode(&answer, func(a several) error { return s.complete(a, ids) }),
	})
	if err != nil {
		return nil, err
	}
	var found []document
	for _, d := range answer.Docs {
		if !d.Found {
			continue
		}
		one, err := parse(d.Source)
		if err != nil {
			return nil, err
		}
		if documentID(one.Seq) != d.ID {
			return nil, fmt.Errorf("%w: document %s contains entry %d", journal.ErrDamaged, d.ID, one.Seq)
		}
		found = append(found, one)
	}
	return found, nil
}

// complete refuses an answer that leaves out one of the documents. An index that does not exist contains none.
func (s *Store) complete(a several, ids []string) error {
	if len(a.Docs) != len(ids) {
		return fmt.Errorf("%d documents of %d", len(a.Docs), len(ids))
	}
	for i, d := range a.Docs {
		switch {
		case d.Error != nil && d.Error.Type == missingIndex:
		case d.Error != nil && d.Error.Type == "security_exception":
			return s.denied("Read entries", d.Error.Reason)
		case d.Error != nil:
			return fmt.Errorf("document %s: %s: %s", d.ID, d.Error.Type, d.Error.Reason)
		case d.ID != ids[i]:
			return fmt.Errorf("found document %q where %q was expected", d.ID, ids[i])
		}
	}
	return nil
}

func parse(source json.RawMessage) (document, error) {
	var d document
	if err := json.Unmarshal(source, &d); err != nil {
		return document{}, fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	return d, nil
}

// reload starts again from the newest entry.
func (s *Store) reload(ctx context.Context) (*view, error) {
	v, err := s.load(ctx)
	if err == nil {
		s.advance(v)
	}
	return v, err
}

// load reads the newest entry and the executions that are open after it. Searches may not find the latest entries yet,
// so load then continues with reads by identifier.
func (s *Store) load(ctx context.Context) (*view, error) {
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{open: map[int64]journal.Record{}}
	if newest > 0 {
		found, err := s.documents(ctx, newest, newest)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%w: a search found entry %d, but it can't be read", journal.ErrDamaged, newest)
		}
		if v, err = s.viewAfter(ctx, found[0]); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	if s.seen == nil {
		s.seen = v
	}
	s.mu.Unlock()
	return s.forward(ctx, v, func(document) {}) // a function for seen prevents another reload
}

// viewAfter returns the view after a document without reading the earlier ones.
func (s *Store) viewAfter(ctx context.Context, d document) (*view, error) {
	e, err := d.entry()
	if err != nil {
		return nil, err
	}
	if sealed, err := journal.Seal(e, e.Prev); err != nil || sealed.Hash != e.Hash {
		return nil, fmt.Errorf("%w: entry %d was changed after it was written", journal.ErrDamaged, e.Seq)
	}
	v := &view{head: journal.Head{Seq: e.Seq, Hash: e.Hash}, open: map[int64]journal.Record{}}
	records, err := s.records(ctx, d.Open, e.Seq)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Open() {
			v.open[r.ID] = r
		}
	}
	if len(v.open) != len(d.Open) {
		return nil, fmt.Errorf("%w: entry %d lists the open executions %v, and they are %v", journal.ErrDamaged, d.Seq,
			d.Open, v.openIDs())
	}
	return v, nil
}

// now reads what was appended and returns the present view of the journal.
func (s *Store) now(ctx context.Context) (*view, error) { return s.forward(ctx, s.latest(), nil) }

// Get implements journal.Store.
func (s *Store) Get(ctx context.Context, id int64) (journal.Record, error) {
	record, err := s.one(ctx, id)
	return record, s.explain(ctx, err)
}

func (s *Store) one(ctx context.Context, id int64) (journal.Record, error) {
	v, err := s.now(ctx)
	if err != nil {
		return journal.Record{}, err
	}
	return s.at(ctx, v, id)
}

// at returns a record as of v. Only a record that has ended must be read.
func (s *Store) at(ctx context.Context, v *view, id int64) (journal.Record, error) {
	if record, ok := v.open[id]; ok {
		return record, nil
	}
	if id < 1 || id > v.head.Seq {
		return journal.Record{}, journal.ErrNotFound
	}
	if err := s.makeSearchable(ctx, v); err != nil {
		return journal.Record{}, err
	}
	found, err := s.records(ctx, []int64{id}, v.head.Seq)
	switch {
	case err != nil:
		return journal.Record{}, err
	case len(found) == 0:
		return journal.Record{}, journal.ErrNotFound
	}
	return found[0], nil
}
