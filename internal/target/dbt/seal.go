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

// seal marks cache entries so that one that somebody else wrote is no entry. Caches lie in a folder that a CI system may
// save and restore, and that a pull request may contain; what they hold decides what a plan shows and what dbt runs. The
// key lies in the user's own configuration folder. Without a key nothing is cached.
type seal struct{ path string }

const keyBytes = 32

// key reads the key, or makes one where there is none yet. Nil: there can't be one.
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
	// Of several processes that made one, the last one's counts for all.
	key, err := os.ReadFile(s.path)
	if err != nil || len(key) != keyBytes {
		return nil
	}
	return key
}

// defaultSealPath is where the key lies, or empty where the user has no configuration folder.
func defaultSealPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "terraform-provider-remediation", "cache.key")
}

func sealOf(key []byte, path string, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(filepath.Base(path) + "\x00")) // an entry counts under its own name only
	h.Write(data)
	return h.Sum(nil)
}

// read returns the data at path if this key sealed it under that name.
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

// write puts sealed data at path. Failing to do so costs time only, so nothing is said.
func (s seal) write(path string, data []byte) {
	if key := s.key(); key != nil {
		_ = maybe.WriteFile(path, append(sealOf(key, path, data), data...), private)
	}
}

// readCached reads an entry; one that is missing, damaged or from elsewhere is no entry.
func readCached[T any](s seal, path string) (T, bool) {
	var v T
	data, ok := s.read(path)
	return v, ok && json.Unmarshal(data, &v) == nil
}

// writeCached writes an entry, unless it holds a secret. Readers of other processes see all of it or nothing.
func (c *CLI) writeCached(path string, v any) {
	if data, err := json.Marshal(v); err == nil && c.secrets.String(string(data)) == string(data) {
		c.seal.write(path, data)
	}
}
