package dbt

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
)

// knownSums is a cache.Known in memory: the SHA-256 of entries by name.
type knownSums struct {
	mu  sync.Mutex
	all map[string]string
}

func (s *knownSums) Vouches(_ context.Context, name, sum string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[name] == sum
}

func (s *knownSums) Used(name, sum string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[name] = sum
}

func ledger() *knownSums { return &knownSums{all: map[string]string{}} }

// TestEntriesThatNobodyVouchesForAreIgnored edits the cache, and asks with a ledger that doesn't know it.
func TestEntriesThatNobodyVouchesForAreIgnored(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	known := ledger()
	first, err := cli(t, cfg).List(cache.With(t.Context(), known), example)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for name := range known.all {
		kind, _, _ := strings.Cut(name, "/")
		kinds[kind]++
	}
	if diff := cmp.Diff(map[string]int{"list": 1, "parse": 1}, kinds); diff != "" {
		t.Errorf("entries that a first plan used (-want +got):\n%s", diff)
	}
	ask := func(why string, l cache.Known, helpers int) {
		t.Helper()
		ctx, log := listen(t)
		got, err := cli(t, cfg).List(cache.With(ctx, l), example)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(encoded(t, first), encoded(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
		if n := log.count("helper started"); n != helpers {
			t.Errorf("%s: %d helpers were started, want %d", why, n, helpers)
		}
	}
	ask("the same ledger", known, 0)
	ask("an empty ledger", ledger(), 1)
	forge(t, cfg.WorkDir, "list/*.json", func(data []byte) []byte {
		return []byte(strings.ReplaceAll(string(data), "triage_results", "triage_deleted"))
	})
	forge(t, cfg.WorkDir, "parse/*.msgpack", func(data []byte) []byte {
		return []byte(strings.ReplaceAll(string(data), "triage_results", "triage_deleted"))
	})
	ask("a forged cache", known, 1)
	// The answer was stored again, with the content that the ledger knows.
	ask("after a forged cache", known, 0)
}

// encoded returns the listing as JSON, in which an answer from the cache and dbt's own are the same.
func encoded(t *testing.T, l Listing) string {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// forge rewrites cache entries as somebody would who can write their folder, but not the journal.
func forge(t *testing.T, dir, pattern string, edit func([]byte) []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s to forge: %v", pattern, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(edit(data)))
	}
}
