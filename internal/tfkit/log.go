package tfkit

import (
	"context"
	"log/slog"
	"strings"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// logVariable is the prefix of the environment variables that set the level of one subsystem, such as
// TF_LOG_PROVIDER_REMEDIATION_ENGINE.
const logVariable = "TF_LOG_PROVIDER_REMEDIATION"

// withLog returns a context that forwards log records to Terraform's log, by subsystem. ctx is the context of an RPC
// and carries Terraform's log. Every text passes through redact.
func withLog(ctx context.Context, redact func(string) string) context.Context {
	for _, s := range logging.Subsystems() {
		ctx = tflog.NewSubsystem(ctx, string(s), tflog.WithLevelFromEnv(logVariable, strings.ToUpper(string(s))))
	}
	if redact == nil {
		redact = func(s string) string { return s }
	}
	return logging.With(ctx, &terraformLog{log: ctx, redact: redact})
}

// logged is withLog for the RPCs of resources and data sources.
func (r *Runtime) logged(ctx context.Context) context.Context {
	if r == nil || r.Quiet {
		return ctx
	}
	return withLog(ctx, r.Redact)
}

// terraformLog is a listener that writes to Terraform's log.
type terraformLog struct {
	// log carries the loggers of the RPC. Records may come with a context that outlives it.
	log    context.Context //nolint:containedctx // tflog keeps its loggers in a context
	redact func(string) string
	attrs  []slog.Attr
}

// Enabled implements slog.Handler. Terraform's log filters records.
func (*terraformLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *terraformLog) Handle(_ context.Context, record slog.Record) error {
	subsystem, attrs := logging.Fields(record, l.attrs)
	fields := make(map[string]any, len(attrs))
	for _, a := range attrs {
		fields[a.Key] = l.redact(a.Value.String())
	}
	write := tflog.SubsystemDebug
	switch {
	case record.Level >= slog.LevelWarn:
		write = tflog.SubsystemWarn
	case record.Level >= slog.LevelInfo:
		write = tflog.SubsystemInfo
	}
	write(l.log, string(subsystem), l.redact(record.Message), fields) //nolint:contextcheck // see log
	return nil
}

// WithAttrs implements slog.Handler.
func (l *terraformLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], attrs...)
	return &with
}

// WithGroup implements slog.Handler. Records have no groups.
func (l *terraformLog) WithGroup(string) slog.Handler { return l }
