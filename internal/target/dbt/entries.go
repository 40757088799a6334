package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2/maybe"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// entries are the cache entries that this process wrote: their SHA-256 by name. It is safe for use by several
// goroutines.
type entries struct {
	mu  sync.Mutex
	own map[string]string
}

func (e *entries) put(name, sum string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.own == nil {
		e.own = map[string]string{}
	}
	e.own[name] = sum
}

func (e *entries) get(name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.own[name]
}

// entryName returns the name of the entry at path, such as "list/4f9c.json".
func entryName(path string) string {
	return filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
}

// readEntry returns the data of the entry at path. An entry that nobody vouches for is ignored.
func (c *CLI) readEntry(ctx context.Context, path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	hash := sha256.Sum256(data)
	name, sum, known := entryName(path), hex.EncodeToString(hash[:]), cache.Of(ctx)
	if c.entries.get(name) != sum && !known.Vouches(ctx, name, sum) {
		logging.Debug(ctx, logging.DBT, "cache entry ignored: the journal lacks its SHA-256", "entry", name,
			"sha256", sum)
		return nil, false
	}
	known.Used(name, sum)
	return data, true
}

// writeEntry stores data at path. Other processes see all of it or nothing. A failure only costs time, so it is not
// reported.
func (c *CLI) writeEntry(ctx context.Context, path string, data []byte) {
	if err := maybe.WriteFile(path, data, private); err != nil {
		logging.Debug(ctx, logging.DBT, "cache entry not written", "entry", entryName(path), "error", err.Error())
		return
	}
	hash := sha256.Sum256(data)
	c.entries.put(entryName(path), hex.EncodeToString(hash[:]))
	c.useEntry(ctx, path)
}

// useEntry reports to the journal that an answer of this process is stored at path, if it is.
func (c *CLI) useEntry(ctx context.Context, path string) {
	name := entryName(path)
	if sum := c.entries.get(name); sum != "" {
		cache.Of(ctx).Used(name, sum)
	}
}

// readCached reads an answer. A missing, damaged, or foreign entry is ignored.
func readCached[T any](ctx context.Context, c *CLI, path string) (T, bool) {
	var v T
	data, ok := c.readEntry(ctx, path)
	return v, ok && json.Unmarshal(data, &v) == nil
}

// writeCached writes an answer, unless it contains a secret.
func (c *CLI) writeCached(ctx context.Context, path string, v any) {
	if data, err := json.Marshal(v); err == nil && c.secrets.String(string(data)) == string(data) {
		c.writeEntry(ctx, path, data)
	}
}
