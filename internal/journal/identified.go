package journal

import (
	"context"
	"sync"
)

// Identified returns a Store whose records carry the identity of the journal.
func Identified(s Store) Store { return &identified{Store: s} }

type identified struct {
	Store
	mu sync.Mutex
	id string
}

// identity reads and caches the journal's identity as soon as the journal has one.
func (s *identified) identity(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		return s.id, nil
	}
	var err error
	s.id, err = Identity(ctx, s.Store)
	return s.id, err
}

// one sets the identity of a record. The record is already durable at this point, whatever happens here.
func (s *identified) one(ctx context.Context, r Record, err error) (Record, error) {
	if err != nil {
		return r, err
	}
	r.Journal, err = s.identity(context.WithoutCancel(ctx))
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
	id, err := s.identity(ctx)
	for i := range found {
		found[i].Journal = id
	}
	return found, err
}
