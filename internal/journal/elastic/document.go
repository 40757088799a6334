package elastic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// document is an entry as it is stored, with additional fields that are not hashed.
type document struct {
	Seq       int64        `json:"seq"`
	Execution int64        `json:"execution"`
	Kind      journal.Kind `json:"kind"`
	// At has a fixed width, so its order as text is the order of time. It keeps every digit of the time that is hashed.
	At       string `json:"at"`
	Playbook string `json:"playbook"`
	Target   string `json:"target"`
	Request  string `json:"request"`
	Incident string `json:"incident"`
	Digest   string `json:"digest,omitempty"`
	Identity string `json:"identity,omitempty"`
	// Body is JSON as text, because Elasticsearch would keep an object's members, but not its bytes.
	Body string `json:"body"`
	Prev string `json:"prev"`
	Hash string `json:"hash"`
	// Open lists the executions that are open after the entry, in order.
	Open []int64 `json:"open"`
	// Nonce tells the writer whether it wrote the document.
	Nonce string `json:"nonce"`
}

// timeFormat is RFC 3339 in UTC with all nine digits.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeFormat) }

// entry returns the entry that is hashed.
func (d document) entry() (journal.Entry, error) {
	at, err := time.Parse(timeFormat, d.At)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("%w: entry %d: %w", journal.ErrDamaged, d.Seq, err)
	}
	return journal.Entry{
		Seq: d.Seq, Execution: d.Execution, Kind: d.Kind, At: at,
		Subject: journal.Subject{Playbook: d.Playbook, Target: d.Target, Request: d.Request, Incident: d.Incident,
			Digest: d.Digest, Identity: d.Identity},
		Body: json.RawMessage(d.Body), Prev: d.Prev, Hash: d.Hash,
	}, nil
}

func newDocument(e journal.Entry, open []int64, nonce string) document {
	return document{
		Seq: e.Seq, Execution: e.Execution, Kind: e.Kind, At: timeText(e.At), Playbook: e.Subject.Playbook,
		Target:  e.Subject.Target,
		Request: e.Subject.Request, Incident: e.Subject.Incident, Body: string(e.Body), Prev: e.Prev, Hash: e.Hash,
		Digest: e.Subject.Digest, Identity: e.Subject.Identity,
		Open: open, Nonce: nonce,
	}
}

// replacement stands for bytes that are not UTF-8, which JSON can't store. They are replaced before the entry is
// hashed, not when it is sent.
const replacement = "\ufffd"

func validSubject(s journal.Subject) journal.Subject {
	for _, field := range []*string{&s.Playbook, &s.Target, &s.Request, &s.Incident, &s.Digest, &s.Identity} {
		*field = strings.ToValidUTF8(*field, replacement)
	}
	return s
}

func validBody(body json.RawMessage) json.RawMessage {
	return bytes.ToValidUTF8(body, []byte(replacement))
}

// view is the journal as of one entry. It is immutable: with returns the next one.
type view struct {
	head journal.Head
	// open contains the open executions by their identifier.
	open map[int64]journal.Record
}

// openIDs lists the open executions in order.
func (v *view) openIDs() []int64 { return slices.Sorted(maps.Keys(v.open)) }

// find returns the open executions that the filter selects, oldest first. It needs no search.
func (v *view) find(f journal.Filter) []journal.Record {
	about := validSubject(journal.Subject{Playbook: f.Playbook, Target: f.Target, Request: f.Request,
		Incident: f.Incident, Digest: f.Digest, Identity: f.Identity})
	same := func(wanted, has string) bool { return wanted == "" || wanted == has }
	var found []journal.Record
	for _, id := range v.openIDs() {
		r := v.open[id]
		if same(about.Playbook, r.Subject.Playbook) && same(about.Target, r.Subject.Target) &&
			same(about.Request, r.Subject.Request) &&
			same(about.Incident, r.Subject.Incident) && same(about.Digest, r.Subject.Digest) &&
			same(about.Identity, r.Subject.Identity) && (f.Since.IsZero() || !r.CreatedAt.Before(f.Since)) &&
			(f.Before == 0 || r.ID < f.Before) &&
			(f.Until.IsZero() || r.CreatedAt.Before(f.Until)) && (f.All || !f.DryRuns) {
			found = append(found, r)
		}
	}
	if f.Limit > 0 && len(found) > f.Limit {
		found = found[len(found)-f.Limit:]
	}
	return found
}

// holder returns an open execution that excludes one of target with these locks.
func (v *view) holder(target string, locks []string) (journal.Record, bool) {
	for _, r := range v.open {
		if r.Excludes(target, locks) {
			return r, true
		}
	}
	return journal.Record{}, false
}

// with returns the view after e, and the record of e if it is open or was open before. An entry that can't follow is
// damage, because no provider could have appended it.
func (v *view) with(e journal.Entry) (*view, journal.Record, error) {
	sealed, err := journal.Seal(e, v.head.Hash)
	if err == nil && (e.Seq != v.head.Seq+1 || e.Prev != v.head.Hash || e.Hash != sealed.Hash) {
		err = fmt.Errorf("entry %d does not follow from entry %d", e.Seq, v.head.Seq)
	}
	if err != nil {
		return nil, journal.Record{}, fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	next := &view{head: journal.Head{Seq: e.Seq, Hash: e.Hash}, open: maps.Clone(v.open)}
	if _, isOpen := v.open[e.Execution]; e.Kind == journal.KindCompaction || e.Kind == journal.KindAcknowledged &&
		!isOpen {
		return next, journal.Record{}, nil // it is about an execution that has ended, which is not part of the view
	}
	record, err := v.open[e.Execution].With(e) // the zero record for one that begins
	if err != nil {
		return nil, journal.Record{}, err
	}
	if record.Open() {
		next.open[record.ID] = record
	} else {
		delete(next.open, record.ID)
	}
	return next, record, nil
}

// withDocument is with for a document that was read.
func (v *view) withDocument(d document) (*view, error) {
	e, err := d.entry()
	if err != nil {
		return nil, err
	}
	next, _, err := v.with(e)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(next.openIDs(), d.Open) {
		return nil, fmt.Errorf("%w: entry %d lists the open executions %v, and they are %v", journal.ErrDamaged, d.Seq,
			d.Open, next.openIDs())
	}
	return next, nil
}
