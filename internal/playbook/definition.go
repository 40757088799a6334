package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Description is a playbook without its target: what the catalogue, the resources, and the docs need. It does no I/O.
type Description interface {
	// Metadata is the playbook's page in the catalogue.
	Metadata() Metadata
	// Check checks inputs, given as a JSON object. The error for an invalid input is a *problem.Problem with its path.
	Check(params json.RawMessage) error
	// Normalize returns valid inputs without those that are null, at their default, or without effect in combination
	// with the others. Two sets of inputs that ask for the same thing are equal afterwards.
	Normalize(params json.RawMessage) (json.RawMessage, error)
}

// Definition declares a playbook's page and its inputs. P is a struct of the inputs by their JSON names.
type Definition[P any] struct {
	// Page describes the playbook: its action type, title, and texts for the docs and remediation_playbooks.
	Page Metadata
	// Defaults contains the inputs at their defaults. Its pointers, slices, and maps must be nil, because inputs are
	// decoded over a copy of it.
	Defaults P
	// Validate checks inputs and returns them in their normal form: sorted if their order has no meaning, and with
	// every input that has no effect in combination with the others at its default. Nil: every value is valid as it is.
	Validate func(P) (P, error)
}

var _ Description = Definition[struct{}]{}

// Metadata implements Description.
func (d Definition[P]) Metadata() Metadata { return d.Page }

// Check implements Description.
func (d Definition[P]) Check(params json.RawMessage) error {
	_, err := d.Decode(params)
	return err
}

// Decode returns the inputs in their normal form. Inputs that are not set have their defaults.
func (d Definition[P]) Decode(params json.RawMessage) (P, error) {
	p := d.Defaults
	if err := Decode(params, &p); err != nil {
		return d.Defaults, err
	}
	if d.Validate == nil {
		return p, nil
	}
	return d.Validate(p)
}

// Normalize implements Description. An input is left out if the inputs mean the same without it.
func (d Definition[P]) Normalize(params json.RawMessage) (json.RawMessage, error) {
	meaning, err := d.meaning(params)
	if err != nil {
		return nil, err
	}
	var inputs map[string]json.RawMessage
	if err := json.Unmarshal(params, &inputs); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		rest := maps.Clone(inputs)
		delete(rest, name)
		text, err := json.Marshal(rest)
		if err != nil {
			return nil, err
		}
		if without, err := d.meaning(text); err == nil && bytes.Equal(without, meaning) {
			inputs = rest
		}
	}
	return json.Marshal(inputs)
}

// meaning returns the normal form of inputs as JSON, defaults included.
func (d Definition[P]) meaning(params json.RawMessage) ([]byte, error) {
	p, err := d.Decode(params)
	if err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// Logic is what a playbook does, bound to its inputs. F are its facts: the playbook's own attributes of preview, by
// their JSON names, which must still be true at apply. See Action, which has the same methods without F.
type Logic[F any] interface {
	Target(ctx context.Context) (string, error)
	// Preview returns the preview and the facts. It leaves Preview.Facts empty.
	Preview(ctx context.Context) (Preview, F, error)
	// Dispatch and Adopt get the reviewed facts.
	Dispatch(ctx context.Context, job Job, facts F) (Work, error)
	Adopt(ctx context.Context, job Job, facts F) (Work, error)
}

// New returns the playbook that definition describes. bind returns its logic for inputs that Validate has accepted; the
// logic may also implement Observer, Invalidator, and Follower (whose PreviewAfter returns the facts, too).
func New[P, F any](definition Definition[P], bind func(P) Logic[F]) Playbook {
	return bound[P, F]{Definition: definition, bind: bind}
}

type bound[P, F any] struct {
	Definition[P]
	bind func(P) Logic[F]
}

// Bind implements Playbook.
func (b bound[P, F]) Bind(params json.RawMessage) (Action, error) {
	p, err := b.Decode(params)
	if err != nil {
		return nil, err
	}
	return action[F]{b.bind(p)}, nil
}

// action adapts Logic to Action. It keeps the facts in Preview.Facts.
type action[F any] struct{ logic Logic[F] }

// Target implements Action.
func (a action[F]) Target(ctx context.Context) (string, error) { return a.logic.Target(ctx) }

// Preview implements Action.
func (a action[F]) Preview(ctx context.Context) (Preview, error) {
	p, facts, err := a.logic.Preview(ctx)
	if err == nil {
		p.Facts = facts
	}
	return p, err
}

// Dispatch implements Action.
func (a action[F]) Dispatch(ctx context.Context, job Job) (Work, error) {
	facts, err := factsOf[F](job)
	if err != nil {
		return nil, err
	}
	return a.logic.Dispatch(ctx, job, facts)
}

// Adopt implements Action.
func (a action[F]) Adopt(ctx context.Context, job Job) (Work, error) {
	facts, err := factsOf[F](job)
	if err != nil {
		return nil, err
	}
	return a.logic.Adopt(ctx, job, facts)
}

// Observe implements Observer. It reports no difference if the playbook is not an Observer.
func (a action[F]) Observe(ctx context.Context) (Observation, error) {
	if o, ok := a.logic.(Observer); ok {
		return o.Observe(ctx)
	}
	return Observation{}, nil
}

// PreviewAfter implements Follower. It returns ErrNotProjected if the playbook can't be previewed on a projection.
func (a action[F]) PreviewAfter(ctx context.Context, projection json.RawMessage) (Preview, error) {
	follower, ok := a.logic.(interface {
		PreviewAfter(ctx context.Context, projection json.RawMessage) (Preview, F, error)
	})
	if !ok {
		return Preview{}, ErrNotProjected
	}
	p, facts, err := follower.PreviewAfter(ctx, projection)
	if err == nil {
		p.Facts = facts
	}
	return p, err
}

// Invalidate implements Invalidator.
func (a action[F]) Invalidate() {
	if i, ok := a.logic.(Invalidator); ok {
		i.Invalidate()
	}
}

// factsOf returns the reviewed facts, from this process or from the journal.
func factsOf[F any](job Job) (F, error) {
	facts, ok := job.Preview.Facts.(F)
	if ok {
		return facts, nil
	}
	text, err := json.Marshal(job.Preview.Facts)
	if err == nil {
		err = json.Unmarshal(text, &facts)
	}
	if err != nil {
		return facts, fmt.Errorf("facts of execution %d: %w", job.ID, err)
	}
	return facts, nil
}
