package dbt

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2/maybe"
)

// seal signs cache entries, and entries without a valid seal are ignored. A CI system may save and restore the folder
// of the caches, a pull request may contain it, and the entries decide what a plan shows and what dbt runs. The key is
// stored in the user's own configuration folder. Without a key nothing is cached.
type seal struct{ path string }

const keyBytes = 32

// key reads the key, or creates it. Nil: it can't be created.
func (s seal) key() []byte {
	if s.path == "" {
		return nil
	}
	if key, err := os.ReadFile(s.path); err == nil && len(key) == keyBytes {
		return key
	}
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil
	}
	const ownerOnly = 0o700
	if os.MkdirAll(filepath.Dir(s.path), ownerOnly) != nil || maybe.WriteFile(s.path, key, private) != nil {
		return nil
	}
	// If several processes created a key, the last one is used by all.
	key, err := os.ReadFile(s.path)
	if err != nil || len(key) != keyBytes {
		return nil
	}
	return key
}

// defaultSealPath is the path of the key, or empty if the user has no configuration folder.
func defaultSealPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "terraform-provider-remediation", "cache.key")
}

func sealOf(key []byte, path string, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(filepath.Base(path) + "\x00")) // an entry is only valid under its own name
	h.Write(data)
	return h.Sum(nil)
}

// read returns the data at path if it was sealed with this key under that name.
func (s seal) read(path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil || len(data) < sha256.Size {
		return nil, false
	}
	key := s.key()
	if key == nil {
		return nil, false
	}
	mark, data := data[:sha256.Size], data[sha256.Size:]
	return data, hmac.Equal(mark, sealOf(key, path, data))
}

// write writes sealed data to path. A failure only costs time, so it is not reported.
func (s seal) write(path string, data []byte) {
	if key := s.key(); key != nil {
		_ = maybe.WriteFile(path, append(sealOf(key, path, data), data...), private)
	}
}

// readCached reads an entry. A missing, damaged, or foreign entry is ignored.
func readCached[T any](s seal, path string) (T, bool) {
	var v T
	data, ok := s.read(path)
	return v, ok && json.Unmarshal(data, &v) == nil
}

// writeCached writes an entry, unless it contains a secret. Other processes see all of it or nothing.
func (c *CLI) writeCached(path string, v any) {
	if data, err := json.Marshal(v); err == nil && c.secrets.String(string(data)) == string(data) {
		c.seal.write(path, data)
	}
}
