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

// WithPast returns a context for Preview and Work.Wait, in which PastOf can read the target's history.
func WithPast(ctx context.Context, read ReadPast) context.Context {
	return context.WithValue(ctx, pastKey{}, read)
}

// PastOf returns the newest executions of the playbook on the target, at most limit, newest first. There are none if
// the context is not from WithPast. A preview may show what it derives from them, but not make it part of the digest,
// unless an input asks for a certain execution: every execution would change the digest.
func PastOf(ctx context.Context, limit int) ([]Past, error) {
	read, ok := ctx.Value(pastKey{}).(ReadPast)
	if !ok {
		return nil, nil
	}
	return read(ctx, limit)
}
