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
	// Execution is the one that was open in the journal when the change arrived. Zero: none was.
	Execution int64
	What      string
}

// ledger keeps what a target really received, apart from anything that the provider says of it.
type ledger struct {
	// holder returns the execution that is open in the journal; newest the last one that was begun.
	holder, newest func() int64
	// other, where set, is what there is to be read instead of the effects here.
	other func() (arrived, made map[effect]int)

	mu sync.Mutex
	// effects counts how often a change arrived, made those that were not lost on their way.
	effects, made map[effect]int
	blow          *blow
}

// blow is a death around a change of the target.
type blow struct {
	phase phase
	kill  func()
}

// phase is where in a change it comes.
type phase string

const (
	arriving  phase = "a change arrives and is made"
	lost      phase = "a change arrives and is lost"
	answering phase = "a change is made and not answered"
)

func phases() []phase { return []phase{arriving, lost, answering} }

// arm makes the next change deadly. nil takes that back.
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

// all returns how often each change arrived, and how often it was made.
func (l *ledger) all() (arrived, made map[effect]int) {
	if l.other != nil {
		return l.other()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.effects), maps.Clone(l.made)
}

// received are the changes that arrived.
func (l *ledger) received() map[effect]int {
	arrived, _ := l.all()
	return arrived
}

// over returns next behind the ledger. change names the change that a request asks for, and is empty for one that only
// reads.
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
		// What has arrived is done, whatever becomes of who sent it.
		next.ServeHTTP(answer, r.WithContext(withoutEnd(r)))
		l.strike(answering)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}
