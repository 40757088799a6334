package dbt

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestSharedCallsBeginAfterTheyAreAskedFor asks from many sides at once while a call runs. None of them gets its
// answer, and one more call answers all of them.
func TestSharedCallsBeginAfterTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	var s shared[int64]
	var calls atomic.Int64
	running, release := make(chan struct{}), make(chan struct{})
	call := func() (int64, error) {
		n := calls.Add(1)
		if n == 1 {
			close(running)
			<-release
		}
		return n, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := s.do(t.Context(), "k", call); n != 1 || err != nil {
			t.Errorf("the first call: %d, %v", n, err)
		}
	})
	<-running
	asked := make(chan struct{}, 8)
	for range cap(asked) {
		wg.Go(func() {
			asked <- struct{}{}
			if n, err := s.do(t.Context(), "k", call); n < 2 || err != nil {
				t.Errorf("a call that began before it was asked for answered: %d, %v", n, err)
			}
		})
	}
	for range cap(asked) {
		<-asked
	}
	if n, err := s.do(t.Context(), "other", call); n != 2 || err != nil {
		t.Errorf("another key waited: %d, %v", n, err)
	}
	close(release)
	wg.Wait()
	if len(s.waiting) > 0 || len(s.running) > 0 {
		t.Errorf("left over: %v, %v", s.waiting, s.running)
	}
}

// TestSharedCallOfACanceledCaller cancels the caller that runs the call. A caller that waits for the same call makes
// its own.
func TestSharedCallOfACanceledCaller(t *testing.T) {
	t.Parallel()
	var s shared[string]
	first, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = s.do(t.Context(), "k", func() (string, error) { // keeps the next call waiting
			close(first)
			<-release
			return "", nil
		})
	}()
	<-first
	ctx, cancel := context.WithCancelCause(t.Context())
	var wg sync.WaitGroup
	stopped := errors.New("stopped")
	wg.Go(func() {
		_, err := s.do(ctx, "k", func() (string, error) { return "", context.Cause(ctx) })
		if !errors.Is(err, stopped) {
			t.Errorf("the canceled caller got %v", err)
		}
	})
	for waits := false; !waits; { // the canceled caller is the one that runs the call
		s.mu.Lock()
		waits = s.waiting["k"] != nil
		s.mu.Unlock()
		runtime.Gosched()
	}
	wg.Go(func() {
		if got, err := s.do(t.Context(), "k", func() (string, error) { return "answer", nil }); got != "answer" ||
			err != nil {
			t.Errorf("the other caller got %q, %v", got, err)
		}
	})
	cancel(stopped)
	close(release)
	wg.Wait()
}
