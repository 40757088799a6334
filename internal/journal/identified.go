package journal

import (
	"context"
	"sync"
)

// Identified returns a Store that sets Record.Journal, the identity of the journal in the epoch in which the record
// began. It reads the epochs once: a process that runs while another one adopts the journal doesn't notice.
func Identified(s Store) Store { return &identified{Store: s} }

type identified struct {
	Store
	mu    sync.Mutex
	known []Epoch
}

// epochs reads and caches the journal's epochs as soon as the journal has entries.
func (s *identified) epochs(ctx context.Context) ([]Epoch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) > 0 {
		return s.known, nil
	}
	var err error
	s.known, err = epochs(ctx, s.Store)
	return s.known, err
}

// identify sets the Journal of each record to the identity of the epoch in which the record began.
func (s *identified) identify(ctx context.Context, records ...*Record) error {
	all, err := s.epochs(ctx)
	for _, r := range records {
		for _, e := range all {
			if r.ID >= e.From {
				r.Journal = e.ID
			}
		}
	}
	return err
}

// one sets the Journal of a record. The record is already durable at this point, even if one fails.
func (s *identified) one(ctx context.Context, r Record, err error) (Record, error) {
	if err != nil {
		return r, err
	}
	if r.Status == StatusAdopted {
		s.mu.Lock()
		s.known = nil
		s.mu.Unlock()
	}
	err = s.identify(context.WithoutCancel(ctx), &r)
	return r, err
}

// Begin implements Store.
func (s *identified) Begin(ctx context.Context, about Subject, kind Kind, intent Intent) (Record, error) {
	r, err := s.Store.Begin(ctx, about, kind, intent)
	return s.one(ctx, r, err)
}

// BeginAfter implements Store.
func (s *identified) BeginAfter(ctx context.Context, about Subject, intent Intent, after int64) (Record, error) {
	r, err := s.Store.BeginAfter(ctx, about, intent, after)
	return s.one(ctx, r, err)
}

// Append implements Store.
func (s *identified) Append(ctx context.Context, lease Lease, kind Kind, body any) (Record, error) {
	r, err := s.Store.Append(ctx, lease, kind, body)
	return s.one(ctx, r, err)
}

// Get implements Store.
func (s *identified) Get(ctx context.Context, id int64) (Record, error) {
	r, err := s.Store.Get(ctx, id)
	return s.one(ctx, r, err)
}

// Find implements Store.
func (s *identified) Find(ctx context.Context, filter Filter) ([]Record, error) {
	found, err := s.Store.Find(ctx, filter)
	if err != nil || len(found) == 0 {
		return found, err
	}
	for i := range found {
		if err = s.identify(ctx, &found[i]); err != nil {
			return found, err
		}
	}
	return found, nil
}
