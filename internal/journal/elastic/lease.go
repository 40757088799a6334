package elastic

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// heartbeat is the last heartbeat of the holder of a lease.
type heartbeat struct {
	Beats int64  `json:"beats"`
	At    string `json:"at"`
	// Nonce tells the holder whether a heartbeat arrived although its answer was lost.
	Nonce string `json:"nonce"`

	// version is the condition for the next write, as query parameters.
	version string
}

func (s *Store) leasePath(lease journal.Lease) string {
	return fmt.Sprintf("/%s/_doc/%d-%d", s.leases(), lease.Execution, lease.Token)
}

// Beat implements journal.Store. It reads the journal first, so a holder learns here that another process has taken the
// execution over.
func (s *Store) Beat(ctx context.Context, lease journal.Lease) error {
	return s.explain(ctx, s.beat(ctx, lease))
}

func (s *Store) beat(ctx context.Context, lease journal.Lease) error {
	v, err := s.now(ctx)
	if err != nil {
		return err
	}
	// A heartbeat has the same condition as a takeover: the execution is open and the token is the present one.
	record, err := s.at(ctx, v, lease.Execution)
	switch {
	case err != nil:
		return err
	case record.DryRun:
		return journal.ErrNotFound
	}
	if err := record.Admits(lease, journal.KindTakeover); err != nil {
		return err
	}
	nonce := rand.Text()
	for {
		now, err := s.heartbeat(ctx, lease)
		if elasticsearch.HasType(err, missingIndex) {
			if err = s.createLeases(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if now.Nonce == nonce {
			break
		}
		if err = s.writeHeartbeat(ctx, lease, now, nonce); err == nil {
			break
		}
		if !elasticsearch.HasStatus(err, http.StatusConflict) {
			return err
		}
	}
	s.mu.Lock()
	s.renewed[lease] = true
	s.mu.Unlock()
	return nil
}

// heartbeat reads the document of a lease. It returns the zero heartbeat if there is none.
func (s *Store) heartbeat(ctx context.Context, lease journal.Lease) (heartbeat, error) {
	type answer struct {
		Source      json.RawMessage `json:"_source"`
		SeqNo       *int64          `json:"_seq_no"`
		PrimaryTerm int64           `json:"_primary_term"`
	}
	var out answer
	err := s.do(ctx, request{
		what: fmt.Sprintf("Read the lease of execution %d",
			lease.Execution), method: http.MethodGet, path: s.leasePath(lease),
		read: decode(&out, func(a answer) error {
			if a.SeqNo == nil {
				return fmt.Errorf("no lease")
			}
			return nil
		}),
	})
	if elasticsearch.HasStatus(err, http.StatusNotFound) && !elasticsearch.HasType(err, missingIndex) {
		return heartbeat{version: "op_type=create"}, nil
	}
	if err != nil {
		return heartbeat{}, err
	}
	found := heartbeat{}
	if err := json.Unmarshal(out.Source, &found); err != nil {
		return heartbeat{}, fmt.Errorf("%w: the lease of execution %d: %w", journal.ErrDamaged, lease.Execution, err)
	}
	found.version = fmt.Sprintf("if_seq_no=%d&if_primary_term=%d", *out.SeqNo, out.PrimaryTerm)
	return found, nil
}

func (s *Store) writeHeartbeat(ctx context.Context, lease journal.Lease, before heartbeat, nonce string) error {
	body, err := encode(heartbeat{Beats: before.Beats + 1, At: timeText(s.clock.Now()), Nonce: nonce})
	if err != nil {
		return err
	}
	return s.do(ctx, request{
		what: fmt.Sprintf("Renew the lease of execution %d", lease.Execution), method: http.MethodPut, body: body,
		path: s.leasePath(lease) + "?timeout=" + serverTimeout + "&" + before.version,
	})
}

// Pulse implements journal.Store.
func (s *Store) Pulse(ctx context.Context, execution int64) (journal.Pulse, error) {
	pulse, err := s.pulse(ctx, execution)
	return pulse, s.explain(ctx, err)
}

func (s *Store) pulse(ctx context.Context, execution int64) (journal.Pulse, error) {
	v, err := s.now(ctx)
	if err != nil {
		return journal.Pulse{}, err
	}
	record, isOpen := v.open[execution]
	if !isOpen {
		return journal.Pulse{}, nil
	}
	found, err := s.heartbeat(ctx, record.Lease())
	if elasticsearch.HasType(err, missingIndex) || err == nil && found.Beats == 0 {
		return journal.Pulse{}, nil
	}
	if err != nil {
		return journal.Pulse{}, err
	}
	at, err := time.Parse(timeFormat, found.At)
	if err != nil {
		return journal.Pulse{}, fmt.Errorf("%w: the lease of execution %d: %w", journal.ErrDamaged, execution, err)
	}
	return journal.Pulse{Beats: found.Beats, At: at}, nil
}

// forget removes the document of a lease that has ended, if this process renewed it or took it over. A document that
// stays is never read again, so one attempt is enough.
func (s *Store) forget(ctx context.Context, lease journal.Lease, kind journal.Kind) {
	s.mu.Lock()
	ours := s.renewed[lease]
	delete(s.renewed, lease)
	s.mu.Unlock()
	if ours || kind == journal.KindTakeover {
		// see above
		once := s.retry()
		once.Attempts = 1
		remove := request{what: "Remove a lease", method: http.MethodDelete, path: s.leasePath(lease)}
		_ = s.client.Do(ctx, s.call(remove, once))
	}
}
