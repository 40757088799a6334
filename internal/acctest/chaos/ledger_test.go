package chaos_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
)

// effect is a change that a target received.
type effect struct {
	// Execution is the execution that was open in the journal when the change arrived, or zero.
	Execution int64
	What      string
}

// ledger records what a target really received, independently of the provider.
type ledger struct {
	// holder returns the execution that is open in the journal. newest returns the one that began last.
	holder, newest func() int64
	// other, if set, returns the effects instead of those recorded here.
	other func() (arrived, made map[effect]int)

	mu sync.Mutex
	// effects counts how often a change arrived. made counts those that were not lost before the target.
	effects, made map[effect]int
	blow          *blow
}

// blow is a kill around a change of the target.
type blow struct {
	phase phase
	kill  func()
}

// phase is the phase of a change in which the kill happens.
type phase string

const (
	arriving  phase = "a change arrives and is made"
	lost      phase = "a change arrives and is lost"
	answering phase = "a change is made and not answered"
)

func phases() []phase { return []phase{arriving, lost, answering} }

// arm makes the next change trigger the kill. nil reverts that.
func (l *ledger) arm(b *blow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blow = b
}

// strike kills if this is the phase for it.
func (l *ledger) strike(p phase) bool {
	l.mu.Lock()
	b := l.blow
	hit := b != nil && b.phase == p
	if hit {
		l.blow = nil
	}
	l.mu.Unlock()
	if hit {
		b.kill()
	}
	return hit
}

func (l *ledger) note(e effect, wasMade bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.effects == nil {
		l.effects, l.made = map[effect]int{}, map[effect]int{}
	}
	l.effects[e]++
	if wasMade {
		l.made[e]++
	}
}

// all returns how often each change arrived and how often it was made.
func (l *ledger) all() (arrived, made map[effect]int) {
	if l.other != nil {
		return l.other()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.effects), maps.Clone(l.made)
}

// received returns the changes that arrived.
func (l *ledger) received() map[effect]int {
	arrived, _ := l.all()
	return arrived
}

// over wraps next with the ledger. change names the change that a request asks for, or returns "" for a read.
func (l *ledger) over(next http.Handler, change func(r *http.Request, body []byte) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // its sender is dead
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		what := change(r, body)
		if what == "" {
			next.ServeHTTP(w, r)
			return
		}
		e := effect{l.holder(), fmt.Sprintf("%s %s", r.Method, what)}
		if l.strike(lost) {
			l.note(e, false)
			panic(http.ErrAbortHandler)
		}
		l.note(e, true)
		l.strike(arriving)
		answer := httptest.NewRecorder()
		// A change that has arrived is made, even if its sender was killed.
		next.ServeHTTP(answer, r.WithContext(withoutEnd(r)))
		l.strike(answering)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
