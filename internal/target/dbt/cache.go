package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

// parseState is dbt's file with the parsed project, from which the next dbt need not parse anew.
const parseState = "partial_parse.msgpack"

// readCached reads an entry; one that is missing or damaged is no entry.
func readCached[T any](path string) (T, bool) {
	var v T
	data, err := os.ReadFile(path)
	if err != nil {
		return v, false
	}
	return v, json.Unmarshal(data, &v) == nil
}

// writeCached writes an entry so that readers of other processes see all of it or nothing.
func writeCached(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeAtomic(path, data)
}

// writeAtomic replaces the file at path, readable by the owner alone.
func writeAtomic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// once runs f for one caller at a time per key, the others share its answer. A caller whose context lives on does not
// share the end of another's.
func once[T any](ctx context.Context, group *singleflight.Group, key string, f func() (T, error)) (T, error) {
	for {
		v, err, shared := group.Do(key, func() (any, error) { return f() })
		if err != nil && shared && ctx.Err() == nil && (errors.Is(err, ErrCancelled) ||
			errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		answer, ok := v.(T)
		if !ok {
			return answer, fmt.Errorf("unexpected answer %T", v)
		}
		return answer, err
	}
}

// scratch makes a new folder for one invocation of dbt.
func (c *CLI) scratch(pattern string) (string, error) {
	dir, err := c.workDir("scratch")
	if err != nil {
		return "", err
	}
	c.forget()
	scratch, err := os.MkdirTemp(dir, pattern)
	if err != nil {
		return "", workDirProblem(dir, err)
	}
	return scratch, nil
}

// parsePath is where the parse state for a command lies: dbt can use it only with the same project, target and
// variables.
func (c *CLI) parsePath(argv []string) (string, error) {
	dir, err := c.workDir("parse")
	if err != nil {
		return "", err
	}
	vars := ""
	if i := slices.Index(argv, "--vars"); i >= 0 && i+1 < len(argv) {
		vars = argv[i+1]
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{c.cfg.ProjectDir, c.cfg.Target, vars}, "\x00")))
	return filepath.Join(dir, hex.EncodeToString(sum[:])+".msgpack"), nil
}

// keepParse puts the parse state of an invocation into the cache, unless it holds a secret. dbt writes none where
// nothing had changed. Failing to keep it costs time only, so nothing is said.
func (c *CLI) keepParse(dir string, argv []string) {
	from := filepath.Join(dir, targetFolder, parseState)
	data, err := os.ReadFile(from)
	if err != nil || c.secrets.String(string(data)) != string(data) {
		return
	}
	if to, err := c.parsePath(argv); err == nil {
		_ = writeAtomic(to, data)
	}
}

// keepFor is how long cache entries that are not renewed and scratch folders of dead processes stay. A week covers a
// plan that waits for its approval; an entry that is gone costs one dbt ls.
const keepFor = 7 * 24 * time.Hour

// forget removes what is older than keepFor. Failing costs space only, so nothing is said.
func (c *CLI) forget() {
	root, err := c.workDir()
	if err != nil {
		return
	}
	old, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil {
		return
	}
	for _, path := range old {
		if info, err := os.Lstat(path); err == nil && c.clk.Now().Sub(info.ModTime()) > keepFor {
			_ = os.RemoveAll(path)
		}
	}
}
