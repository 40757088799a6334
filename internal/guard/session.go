package guard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// keptReadings is how many readings are kept until they are drained, and shownValues how many values a result shows per
// rail.
const (
	keptReadings = 1000
	shownValues  = 20
)

// Tally counts the readings of a rail, to compare them with its limits. The journal keeps it, and a takeover continues
// the counts.
type Tally struct {
	// Breached and Inconclusive count readings since the start, Errors counts failures in a row.
	Breached     int `json:"breached,omitempty"`
	Inconclusive int `json:"inconclusive,omitempty"`
	Errors       int `json:"errors,omitempty"`
	// Held reports that a metric that was in breach before the execution is no longer ignored; see Session.symptom.
	Held bool `json:"held,omitempty"`
}

// Session reads the rails of a watch during an execution. It is not safe for concurrent use.
type Session struct {
	watch  Watch
	reader Reader
	clock  clock.Clock
	began  time.Time
	// last is when each rail was last read.
	last    []time.Time
	tallies []Tally
	// newest are the newest readings, values all values per rail, pending the readings since the last Drain.
	newest  []Reading
	values  [][]float64
	pending []Reading
}

// Start begins a session at the clock's time. tallies are those of the previous process, or nil.
func (w Watch) Start(reader Reader, clk clock.Clock, tallies []Tally) *Session {
	n := len(w.Rails)
	s := &Session{watch: w, reader: reader, clock: clk, began: clk.Now(), newest: make([]Reading, n),
		values: make([][]float64, n), last: make([]time.Time, n)}
	s.tallies = append(s.tallies, tallies[:min(len(tallies), n)]...)
	s.tallies = append(s.tallies, make([]Tally, n-len(s.tallies))...)
	for i := range s.last {
		s.last[i] = s.began
	}
	return s
}

// Tallies returns the counts so far, in the order of the rails.
func (s *Session) Tallies() []Tally { return slices.Clone(s.tallies) }

// Drain returns the readings since the last call, at most the newest keptReadings.
func (s *Session) Drain() []Reading {
	out := s.pending
	s.pending = nil
	return out
}

// Stand waits for d after a step and reads each rail once per interval. An error is a *Verdict or the cause of ctx.
func (s *Session) Stand(ctx context.Context, d time.Duration) error {
	end := s.clock.Now().Add(d)
	for {
		next, due := s.due(end)
		if len(due) == 0 {
			return s.sleep(ctx, end)
		}
		if err := s.sleep(ctx, next); err != nil {
			return err
		}
		if err := s.read(ctx, due, false); err != nil {
			return err
		}
	}
}

// due returns the next time before end at which rails are read, and which rails.
func (s *Session) due(end time.Time) (next time.Time, rails []int) {
	next = end
	for i := range s.watch.Rails {
		at := s.earliest(i, s.next(i))
		switch {
		case !at.Before(end):
		case at.Before(next):
			next, rails = at, []int{i}
		case at.Equal(next):
			rails = append(rails, i)
		}
	}
	return next, rails
}

// earliest returns at, or the end of rail i's initial delay if that is later.
func (s *Session) earliest(i int, at time.Time) time.Time {
	if first := s.began.Add(s.watch.Rails[i].Delay()); at.Before(first) {
		return first
	}
	return at
}

func (s *Session) sleep(ctx context.Context, until time.Time) error {
	if d := until.Sub(s.clock.Now()); d > 0 {
		return s.clock.Sleep(ctx, d)
	}
	return context.Cause(ctx)
}

// EndOfStep reads all rails whose initial delay has passed. A rail without a clear result, within its limits, is read
// again after its interval: a step never ends on an inconclusive reading, unless that is only a warning.
func (s *Session) EndOfStep(ctx context.Context) error {
	now := s.clock.Now()
	var rails []int
	for i := range s.watch.Rails {
		if !s.earliest(i, now).After(now) {
			rails = append(rails, i)
		}
	}
	return s.readUntilClear(ctx, rails, false)
}

// Final reads all rails, regardless of their initial delay, until each has passed or one has exceeded a limit. A breach
// counts even if it existed before the execution. No rail may only warn, because Final would wait for it to pass. A
// tolerated breach is read again after the rail's interval.
func (s *Session) Final(ctx context.Context) error {
	rails := make([]int, len(s.watch.Rails))
	for i := range rails {
		rails[i] = i
	}
	return s.readUntil(ctx, rails, true, func(i int) bool { return s.newest[i].State == Passed })
}

// next returns when rail i is due again.
func (s *Session) next(i int) time.Time { return s.last[i].Add(s.watch.Rails[i].Every()) }

// again returns when the first of the rails is due again.
func (s *Session) again(rails []int) time.Time {
	next := s.next(rails[0])
	for _, i := range rails {
		if at := s.next(i); at.Before(next) {
			next = at
		}
	}
	return next
}

// Newest returns the newest reading of each rail, in the order of the rails.
func (s *Session) Newest() []Reading { return slices.Clone(s.newest) }

// After reads each rail once its wait has passed since the end of the work. If a version got more traffic, the rails
// are also watched during the waits, as in a step.
func (s *Session) After(ctx context.Context) error {
	end := s.clock.Now()
	at := func(i int) time.Time { return s.earliest(i, end.Add(s.watch.Rails[i].After())) }
	order := make([]int, len(s.watch.Rails))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(at(a).UnixNano(), at(b).UnixNano()) })
	for _, i := range order {
		wait := s.sleep
		if s.watch.Traffic == MoreTraffic {
			wait = func(ctx context.Context, until time.Time) error { return s.Stand(ctx, until.Sub(s.clock.Now())) }
		}
		if err := wait(ctx, at(i)); err != nil {
			return err
		}
		if err := s.readUntilClear(ctx, []int{i}, s.watch.Rails[i].After() > 0); err != nil {
			return err
		}
	}
	return nil
}

// readUntilClear reads rails until each of them has a clear result, or one without is only a warning. It returns a
// *Verdict if a limit is exceeded.
func (s *Session) readUntilClear(ctx context.Context, rails []int, final bool) error {
	return s.readUntil(ctx, rails, final, func(i int) bool {
		state := s.newest[i].State
		return state == Passed || state == Breached || s.watch.responseTo(s.watch.Rails[i], state) == Warn
	})
}

// readUntil reads rails, and then each one that is not done again after its own interval. It returns a *Verdict if a
// limit is exceeded.
func (s *Session) readUntil(ctx context.Context, rails []int, final bool, done func(i int) bool) error {
	due := rails
	for {
		if err := s.read(ctx, due, final); err != nil {
			return err
		}
		rails = slices.DeleteFunc(slices.Clone(rails), done)
		if len(rails) == 0 {
			return nil
		}
		if err := s.sleep(ctx, s.again(rails)); err != nil {
			return err
		}
		now := s.clock.Now()
		due = slices.DeleteFunc(slices.Clone(rails), func(i int) bool { return s.next(i).After(now) })
	}
}

// read reads the rails concurrently and counts the readings. final makes a breach count even if it existed before the
// execution.
func (s *Session) read(ctx context.Context, rails []int, final bool) error {
	readings := make([]Reading, len(rails))
	var all sync.WaitGroup
	for n, i := range rails {
		all.Go(func() { readings[n] = s.take(ctx, i) })
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err // readings fail when the context ends, which says nothing about the metric
	}
	now := s.clock.Now()
	var worst *Verdict
	for n, i := range rails {
		reading := readings[n]
		reading.At, s.last[i] = now, now
		reading.Symptom = s.symptom(i, reading, final)
		verdict := s.count(i, reading)
		s.newest[i] = reading
		logging.Info(ctx, logging.Guardrail, "reading", "guardrail", reading.Name, "result", reading.String())
		s.pending = append(s.pending, reading)
		s.pending = s.pending[max(0, len(s.pending)-keptReadings):]
		if reading.Value != nil {
			s.values[i] = append(s.values[i], *reading.Value)
		}
		if verdict != nil && (worst == nil || verdict.Call.gravity() > worst.Call.gravity()) {
			worst = verdict
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

func (s *Session) take(ctx context.Context, i int) Reading {
	r := s.watch.Rails[i]
	if s.watch.broken != "" {
		return Reading{Name: r.Name, State: Inconclusive, Why: s.watch.broken}
	}
	if s.watch.past == nil {
		return r.Take(ctx, s.reader, s.watch.Baseline[i].Value, false)
	}
	return s.watch.past[i].compared(r.Take(ctx, s.reader, s.watch.past[i].value, false))
}

// symptom reports whether a breach existed before the execution and therefore does not count.
func (s *Session) symptom(i int, reading Reading, final bool) bool {
	tally := &s.tallies[i]
	if !s.watch.Baseline[i].Symptom || tally.Held {
		return false
	}
	// A metric that was in breach at the start is ignored until it was once within bounds, breaches another bound than
	// at the start, or a configured wait has ended.
	if other := reading.State == Breached && reading.Bound != s.watch.Baseline[i].Bound; other || final ||
		reading.State == Passed {
		tally.Held = reading.State == Passed || reading.State == Breached
		return false
	}
	return reading.State == Breached
}

// count adds a reading to the rail's counts and returns a verdict if a limit is exceeded.
func (s *Session) count(i int, reading Reading) *Verdict {
	tally, rail := &s.tallies[i], s.watch.Rails[i]
	n := 0
	switch reading.State {
	case Unreadable:
		tally.Errors++
		n = tally.Errors
	case Inconclusive:
		tally.Errors = 0
		tally.Inconclusive++
		n = tally.Inconclusive
	case Breached:
		tally.Errors = 0
		if reading.Symptom {
			return nil
		}
		tally.Breached++
		n = tally.Breached
	case Passed:
		tally.Errors = 0
		return nil
	}
	call := s.watch.responseTo(rail, reading.State)
	if call == Warn || n <= rail.limit(reading.State) {
		return nil
	}
	return &Verdict{Call: call, Reading: reading, Bounds: rail.Bounds(), Count: n}
}

// gravity orders consequences: a rollback before a failure, a failure before a hold.
func (b Breach) gravity() int { return slices.Index([]Breach{Warn, Hold, Fail, Rollback}, b) }

// Details returns the baselines, the newest readings, and the values by name, for a result.
func (s *Session) Details() map[string]string {
	out := map[string]string{}
	for i, r := range s.watch.Rails {
		name := "guardrail." + r.Name
		out[name+".before"] = s.watch.Baseline[i].String()
		if out[name] = s.newest[i].String(); s.newest[i].State == "" {
			out[name] = "not read after the work began"
		}
		if values := s.values[i]; len(values) > 1 {
			out[name+".values"] = written(values)
		}
	}
	return out
}

// written formats the newest values, oldest first.
func written(values []float64) string {
	shown := values[max(0, len(values)-shownValues):]
	texts := make([]string, len(shown))
	for i, v := range shown {
		texts[i] = number(v)
	}
	text := strings.Join(texts, ", ")
	if more := len(values) - len(shown); more > 0 {
		text = fmt.Sprintf("%d more, then %s", more, text)
	}
	return text
}

// Longest returns the longest time that a rail adds to the end of the work.
func Longest(rails []Rail) time.Duration {
	longest := time.Duration(0)
	for _, r := range rails {
		longest = max(longest, r.After(), r.Delay())
	}
	return longest
}
