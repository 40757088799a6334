package engine

import (
	"encoding/json"
	"slices"
	"sync"
)

// stepState is the outcome of an execution that was planned.
type stepState int

const (
	stepPlanned stepState = iota
	stepRan
	stepSkipped
)

// step is an execution that was planned, for the steps that name its digest in after.
type step struct {
	state stepState
	// request identifies the request, which may be planned again with another digest.
	request          string
	playbook, target string
	locks            []string
	readOnly         bool
	chain            chain
	// projection is what it leaves on its target. Nil: that can't be projected or, if keeps is set, looks as before to
	// every later preview.
	projection json.RawMessage
	keeps      bool
}

// on reports whether the step works on the target.
func (s step) on(target string) bool { return s.target == target || slices.Contains(s.locks, target) }

// chain is what a plan knows about the steps around an execution.
type chain struct {
	// After are the digests of the earlier steps.
	After []string `json:"after,omitempty"`
	// From is the playbook of the step whose outcome the preview starts from, and Start is that outcome. Empty: the
	// live target.
	From  string          `json:"from,omitempty"`
	Start json.RawMessage `json:"start,omitempty"`
	// Open reports that triggers were unknown: the digest was computed without triggers.
	Open bool `json:"open,omitempty"`
	// OpenIncident reports that the incident was unknown: the request is recorded as one without an incident.
	OpenIncident bool `json:"open_incident,omitempty"`
	// Conditional reports that run_if is set and not false, Maybe that it is unknown.
	Conditional bool `json:"conditional,omitempty"`
	Maybe       bool `json:"maybe,omitempty"`
}

// same reports whether a record with chain c shows what a plan with chain other would show. A condition that was
// unknown and has become true reads the same: Terraform plans again with it inside an apply.
func (c chain) same(other chain) bool {
	return c.From == other.From && c.Open == other.Open && c.OpenIncident == other.OpenIncident &&
		c.Conditional == other.Conditional &&
		(c.Maybe || !other.Maybe) &&
		slices.Equal(c.After, other.After) && string(c.Start) == string(other.Start)
}

// continues reports whether a record with chain c shows what a plan with chain other shows later in the same run of
// Terraform: the earlier steps, whose outcome the record starts from, have run since.
func (c chain) continues(other chain) bool {
	c.From, c.Start = "", nil
	return other.From == "" && c.same(other)
}

// Planned remembers which executions were planned in this process, and their outcomes. The engines of a process share
// one. Its methods are safe for use by several goroutines.
type Planned struct {
	mu    sync.Mutex
	steps map[string]step
	// on are the digests of the steps that change something, by their target and locks.
	on map[string][]string
	// warned are the targets on which two executions without an order were reported.
	warned map[string]bool
	// undos are the targets on which a destroy is planned that undoes something.
	undos map[string]bool
}

// NewPlanned returns an empty Planned.
func NewPlanned() *Planned {
	return &Planned{steps: map[string]step{}, on: map[string][]string{}, warned: map[string]bool{},
		undos: map[string]bool{}}
}

func (p *Planned) add(digest string, s step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[digest] = s
	if s.readOnly {
		return
	}
	for _, target := range append([]string{s.target}, s.locks...) {
		if !slices.Contains(p.on[target], digest) {
			p.on[target] = append(p.on[target], digest)
		}
	}
}

// became records that the execution with the digest has run or was skipped.
func (p *Planned) became(digest string, state stepState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.steps[digest]; ok {
		s.state = state
		p.steps[digest] = s
	}
}

func (p *Planned) find(digest string) (step, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.steps[digest]
	return s, ok
}

// undoes records that a destroy undoes an execution on the target, and reports whether another one is planned there.
func (p *Planned) undoes(target string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.undos[target] = true
	for _, s := range p.steps {
		if s.state == stepPlanned && !s.readOnly && s.on(target) {
			return true
		}
	}
	return false
}

// undone reports whether a destroy is planned that undoes an execution on the target.
func (p *Planned) undone(target string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.undos[target]
}

// unordered reports, once per target, that another request is planned on the target of r and neither comes after the
// other. earlier are the digests of all earlier steps of r.
func (p *Planned) unordered(r *Review, earlier []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.warned[r.Target] {
		return false
	}
	for _, digest := range p.on[r.Target] {
		s := p.steps[digest]
		// A digest that is planned again may have other locks.
		other := s.state == stepPlanned && s.request != r.Request && s.on(r.Target)
		if other && !slices.Contains(earlier, digest) && !slices.Contains(s.chain.After, r.Digest) {
			p.warned[r.Target] = true
			return true
		}
	}
	return false
}
