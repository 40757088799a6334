package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// NewText returns a listener that writes each record as one line for people: time, level, subsystem, message and
// attributes. Every line passes through redact, unless that is nil, before it is written.
func NewText(w io.Writer, redact func(string) string) slog.Handler {
	return &text{w: w, redact: redact, mu: &sync.Mutex{}}
}

type text struct {
	mu     *sync.Mutex
	w      io.Writer
	redact func(string) string
	attrs  []slog.Attr
}

// Enabled implements slog.Handler.
func (*text) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (t *text) Handle(_ context.Context, record slog.Record) error {
	subsystem, fields := Fields(record, t.attrs)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s %s: %s", record.Time.UTC().Format(time.RFC3339), record.Level, subsystem, record.Message)
	for _, f := range fields {
		fmt.Fprintf(&b, " %s=%s", f.Key, plain(f.Value.String()))
	}
	line := b.String()
	if t.redact != nil {
		line = t.redact(line)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := io.WriteString(t.w, line+"\n")
	return err
}

// WithAttrs implements slog.Handler.
func (t *text) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *t
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], attrs...)
	return &with
}

// WithGroup implements slog.Handler. Records have no groups.
func (t *text) WithGroup(string) slog.Handler { return t }

// Fields returns the record's subsystem, and its other attributes after those that a listener adds.
func Fields(record slog.Record, added []slog.Attr) (Subsystem, []slog.Attr) {
	subsystem, fields := Engine, append([]slog.Attr{}, added...)
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == SubsystemKey {
			subsystem = Subsystem(a.Value.String())
		} else {
			fields = append(fields, a)
		}
		return true
	})
	return subsystem, fields
}

// plain returns value, in quotes if it is empty or contains blanks, quotes, equals signs, or control characters.
func plain(value string) string {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' }) {
		return strconv.Quote(value)
	}
	return value
}
