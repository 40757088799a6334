package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/google/renameio/v2/maybe"
	"golang.org/x/sync/singleflight"
)

// parseState is the file in which dbt saves the parsed project. With it, the next dbt process parses only what changed.
const parseState = "partial_parse.msgpack"

// writeAtomic replaces the file at path, readable by its owner only. Readers see the old content or the new one.
func writeAtomic(path string, data []byte) error { return maybe.WriteFile(path, data, private) }

// once runs f for one caller at a time per key; concurrent callers share its answer. If the call ended because another
// caller's context did, a caller whose own context is still alive calls f again.
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

// shared runs a function for many callers at once. Unlike once, a caller never gets the answer of a call that began
// before it asked. The zero value is ready for use.
type shared[T any] struct {
	mu sync.Mutex
	// waiting are the calls that have not begun, which more callers can join, and running the calls that have.
	waiting, running map[string]*sharedCall[T]
}

type sharedCall[T any] struct {
	done  chan struct{}
	value T
	err   error
	// stopped reports that the context of the caller that ran it had ended.
	stopped bool
}

// do returns the answer of a call of f that begins after do was called. Calls with the same key run one at a time.
func (s *shared[T]) do(ctx context.Context, key string, f func() (T, error)) (T, error) {
	for {
		s.mu.Lock()
		if s.waiting == nil {
			s.waiting, s.running = map[string]*sharedCall[T]{}, map[string]*sharedCall[T]{}
		}
		call, joined := s.waiting[key]
		if !joined {
			call = &sharedCall[T]{done: make(chan struct{})}
			s.waiting[key] = call
		}
		before := s.running[key]
		s.mu.Unlock()
		if !joined {
			s.run(key, call, before, func() (T, error) {
				defer func() { call.stopped = ctx.Err() != nil }()
				return f()
			})
			return call.value, call.err
		}
		select {
		case <-call.done:
		case <-ctx.Done():
			var none T
			return none, context.Cause(ctx)
		}
		if call.err == nil || !call.stopped || ctx.Err() != nil {
			return call.value, call.err
		}
	}
}

// run calls f once the call before it has ended.
func (s *shared[T]) run(key string, call, before *sharedCall[T], f func() (T, error)) {
	if before != nil {
		<-before.done
	}
	s.mu.Lock()
	delete(s.waiting, key)
	s.running[key] = call
	s.mu.Unlock()
	call.value, call.err = f()
	s.mu.Lock()
	if s.running[key] == call {
		delete(s.running, key)
	}
	s.mu.Unlock()
	close(call.done)
}

// scratch creates a folder for one process.
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

// parsePath returns the path of the cache file for the parse of a `dbt run` of s. The file name is a hash of the
// arguments on which the project's configuration can depend.
func (c *CLI) parsePath(s Selection) (string, error) {
	dir, err := c.workDir("parse")
	if err != nil {
		return "", err
	}
	vars, err := canonical(s.Vars)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, part := range []string{c.cfg.ProjectDir, c.cfg.Target, vars, strconv.FormatBool(s.FullRefresh)} {
		fmt.Fprintf(sum, "%d:%s\n", len(part), part)
	}
	return filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))+".msgpack"), nil
}

// keepParse stores dbt's parse of the project in the cache for the next dbt process, unless it contains a secret. dbt
// writes no parse if nothing has changed.
func (c *CLI) keepParse(ctx context.Context, from, to string) {
	if data, err := os.ReadFile(from); err == nil && c.secrets.String(string(data)) == string(data) {
		c.writeEntry(ctx, to, data)
	}
}

// keepFor is how long cache entries that are not renewed, and scratch folders of dead processes, are kept. A week
// covers a plan that waits for its approval; a missing entry costs one parse.
const keepFor = 7 * 24 * time.Hour

// forget removes cache entries and scratch folders that are older than keepFor. A failure only costs space, so it is
// not reported.
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
