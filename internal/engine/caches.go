package engine

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

const (
	// ownRecords is how many of the request's newest records are searched for a cache entry first. They name the
	// entries of a plan that is made again.
	ownRecords = 3
	// targetRecords is how many of the target's newest records are searched next. Resources with the same target share
	// entries, such as the parsed project.
	targetRecords = 100
)

// caches implements cache.Known for one request. Each record names the cache entries that its preview used, with
// their SHA-256. A record that was edited vouches for nothing.
type caches struct {
	engine *Engine
	about  journal.Subject

	mu sync.Mutex
	// filters are the searches that have not been made yet.
	filters []journal.Filter
	// known are the SHA-256 that records name, by the name of the entry.
	known map[string][]string
	used  map[string]string
}

func (e *Engine) caches(about journal.Subject) *caches {
	return &caches{engine: e, about: about, known: map[string][]string{}, used: map[string]string{},
		filters: []journal.Filter{
			{Request: about.Request, All: true, Limit: ownRecords},
			{Playbook: about.Playbook, Target: about.Target, All: true, Limit: targetRecords},
		}}
}

// Vouches implements cache.Known.
func (c *caches) Vouches(ctx context.Context, name, sum string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(ctx, func() bool {
		return slices.Contains(c.known[name], sum)
	})
}

// Used implements cache.Known.
func (c *caches) Used(name, sum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used[name] = sum
}

// entries returns the entries that were used: their SHA-256 by name. Nil if there are none.
func (c *caches) entries() map[string]string {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.used) == 0 {
		return nil
	}
	return maps.Clone(c.used)
}

// unrecorded reports whether an entry was used that no record names, so the next plan would ignore it. An entry that
// was stored again with another content doesn't count: of two plans at once, each stores its own.
func (c *caches) unrecorded(ctx context.Context, newest journal.Record) bool {
	for name := range c.entries() {
		if _, ok := newest.Intent.Caches[name]; ok {
			continue
		}
		c.mu.Lock()
		named := c.find(ctx, func() bool { return len(c.known[name]) > 0 })
		c.mu.Unlock()
		if !named {
			return true
		}
	}
	return false
}

// find makes the searches one after the other until found returns true. The caller holds the lock.
func (c *caches) find(ctx context.Context, found func() bool) bool {
	for !found() {
		if len(c.filters) == 0 {
			return false
		}
		if err := c.search(ctx, c.filters[0]); err != nil {
			logging.Debug(ctx, logging.Engine, "cache entries not looked up in the journal", "error", err.Error())
			return false
		}
		c.filters = c.filters[1:]
	}
	return true
}

func (c *caches) search(ctx context.Context, filter journal.Filter) error {
	store, err := c.engine.Journal(ctx)
	if err != nil {
		return err
	}
	records, err := store.Find(ctx, filter)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Edited != 0 {
			continue
		}
		for name, sum := range rec.Intent.Caches {
			c.known[name] = append(c.known[name], sum)
		}
	}
	return nil
}
