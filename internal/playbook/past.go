package playbook

import (
	"context"
	"encoding/json"
	"time"
)

// Past is an earlier execution of the playbook on the target, which has ended.
type Past struct {
	// ID is the execution's number in the journal.
	ID int64
	// Status is how it ended: success, failed, cancelled, or unknown.
	Status string
	// Params are its inputs. Facts and Content are those of the preview that was reviewed.
	Params, Facts, Content json.RawMessage
	// Details are those of its Report.
	Details map[string]string
	// FinishedAt is when it ended, and Duration how long it took.
	FinishedAt time.Time
	Duration   time.Duration
}

// ReadPast returns the newest executions of the playbook on the target, at most limit, newest first.
type ReadPast func(ctx context.Context, limit int) ([]Past, error)

type pastKey struct{}

// WithPast returns a context for Preview and Work.Wait that knows the history of the target.
func WithPast(ctx context.Context, read ReadPast) context.Context {
	return context.WithValue(ctx, pastKey{}, read)
}

// PastOf returns the newest executions of the playbook on the target, at most limit, newest first. There are none if
// the context doesn't know the history. What is learned from them may be shown, but must not be part of the digest,
// unless an input asks for a certain execution.
func PastOf(ctx context.Context, limit int) ([]Past, error) {
	read, ok := ctx.Value(pastKey{}).(ReadPast)
	if !ok {
		return nil, nil
	}
	return read(ctx, limit)
}
