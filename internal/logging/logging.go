// Package logging carries log records from any layer to the listeners: Terraform's log and the log file of an
// execution. Listeners are in the context, because Terraform attaches its log to the context of each request. Without a
// listener nothing is written.
package logging

import (
	"context"
	"log/slog"
	"time"
)

// Subsystem names the part of the provider that writes a record.
type Subsystem string

// Subsystems. TF_LOG_PROVIDER_REMEDIATION_<NAME>, in upper case, sets the level of each one.
const (
	Engine        Subsystem = "engine"
	Journal       Subsystem = "journal"
	Guardrail     Subsystem = "guardrail"
	DBT           Subsystem = "dbt"
	Elasticsearch Subsystem = "elasticsearch"
	Planner       Subsystem = "planner"
	HTTP          Subsystem = "http"
)

// Subsystems lists all of them.
func Subsystems() []Subsystem {
	return []Subsystem{Engine, Journal, Guardrail, DBT, Elasticsearch, Planner, HTTP}
}

// SubsystemKey is the key of the attribute that names the subsystem in each record.
const SubsystemKey = "subsystem"

type listenersKey struct{}

// With returns a context with listener added: records that are written with it also reach listener.
func With(ctx context.Context, listener slog.Handler) context.Context {
	before, _ := ctx.Value(listenersKey{}).([]slog.Handler)
	return context.WithValue(ctx, listenersKey{}, append(before[:len(before):len(before)], listener))
}

// Debug logs details that explain an execution that hangs, such as each request and each poll.
func Debug(ctx context.Context, s Subsystem, message string, args ...any) {
	write(ctx, slog.LevelDebug, message, append(args, SubsystemKey, string(s)))
}

// Info logs the progress of an execution: each point that it reaches.
func Info(ctx context.Context, s Subsystem, message string, args ...any) {
	write(ctx, slog.LevelInfo, message, append(args, SubsystemKey, string(s)))
}

// Warn logs what needs a reader's attention.
func Warn(ctx context.Context, s Subsystem, message string, args ...any) {
	write(ctx, slog.LevelWarn, message, append(args, SubsystemKey, string(s)))
}

func write(ctx context.Context, level slog.Level, message string, args []any) {
	listeners, _ := ctx.Value(listenersKey{}).([]slog.Handler)
	for _, listener := range listeners {
		if !listener.Enabled(ctx, level) {
			continue
		}
		record := slog.NewRecord(time.Now(), level, message, 0)
		record.Add(args...)
		// A log that can't be written is no reason to stop an execution.
		_ = listener.Handle(ctx, record)
	}
}

// Request logs one request to a remote system: method, path, status (0 if there was no answer) and duration.
func Request(ctx context.Context, s Subsystem, r Exchange) {
	args := []any{"method", r.Method, "path", r.Path, "status", r.Status, "ms", r.Took.Milliseconds()}
	if r.Err != nil {
		args = append(args, "error", r.Err.Error())
	}
	Debug(ctx, s, "request", args...)
}

// Exchange is a request and its result.
type Exchange struct {
	Method, Path string
	// Status is the HTTP status of the answer, or 0.
	Status int
	Took   time.Duration
	Err    error
}
