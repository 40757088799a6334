// Package guard evaluates guardrails: metrics with bounds, and what happens after a breach. It is independent of where
// metrics come from (Reader) and of what is watched (package engine).
//
// The terms are those of Argo Rollouts: a guardrail is read once per interval, and each limit is how many readings of
// its kind are tolerated.
package guard

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Breach is the response to a breach of a guardrail.
type Breach string

// Values of on_breach.
const (
	Rollback Breach = "rollback" // return to the state before the execution, in one step
	Hold     Breach = "hold"     // stop where it is; the execution counts as cancelled
	Fail     Breach = "fail"     // stop where it is; the execution counts as failed
	Warn     Breach = "warn"     // continue and report it
)

// Defaults and bounds of a guardrail.
const (
	DefaultInterval = 10 * time.Second
	MinInterval     = time.Second
	// MaxWait bounds wait, interval, and initial_delay, because an execution has to end.
	MaxWait = 24 * time.Hour
	// DefaultErrorLimit is how many readings in a row may fail.
	DefaultErrorLimit = 4
	// MaxLimit bounds each of the limits.
	MaxLimit = 1000
)

// Rail is a guardrail as configured.
type Rail struct {
	Name string `json:"name"`
	Query
	// Min and Max bound the value itself.
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
	// MaxDrop and MaxIncrease bound the value's change, as a percentage of the baseline or of the stable version's
	// value.
	MaxDrop     *float64 `json:"max_drop_percent,omitempty"`
	MaxIncrease *float64 `json:"max_increase_percent,omitempty"`
	// Stable is a query for the stable version's value. If it is set, relative bounds compare with that value at the
	// same moment instead of with the baseline.
	Stable string `json:"stable_query,omitempty"`
	// Samples is a query for the number of requests behind the value. Below MinSamples a reading is inconclusive.
	Samples    string   `json:"samples_query,omitempty"`
	MinSamples *float64 `json:"min_samples,omitempty"`
	// Interval is the time between two readings during a step, as a duration such as "30s". Empty: DefaultInterval.
	Interval string `json:"interval,omitempty"`
	// InitialDelay is the time from the start of the work until the first reading. Empty: none.
	InitialDelay string `json:"initial_delay,omitempty"`
	// FailureLimit, ErrorLimit, and InconclusiveLimit are how many breached readings, failed readings in a row, and
	// inconclusive readings are tolerated. Nil: 0, DefaultErrorLimit, and 0.
	FailureLimit      *int `json:"failure_limit,omitempty"`
	ErrorLimit        *int `json:"consecutive_error_limit,omitempty"`
	InconclusiveLimit *int `json:"inconclusive_limit,omitempty"`
	// Wait is the time from the end of the work to the last reading, as a duration such as "5m". Empty: none.
	Wait     string `json:"wait,omitempty"`
	OnBreach Breach `json:"on_breach,omitempty"`
}

// Query is the source of the metric: exactly one of Prometheus, HTTP, and Search is set.
type Query struct {
	// Prometheus is a query that returns one number.
	Prometheus string `json:"query,omitempty"`
	// AcceptWarnings are texts of Prometheus's warnings about an answer. A warning that contains one of them does not
	// make the reading inconclusive.
	AcceptWarnings []string `json:"accept_warnings,omitempty"`
	HTTP           *HTTP    `json:"http,omitempty"`
	Search         *Search  `json:"elasticsearch,omitempty"`
}

// HTTP is a GET request to an address.
type HTTP struct {
	URL string `json:"url"`
	// Pointer is a JSON pointer (RFC 6901) to a number in the answer. Empty: the metric is the latency in milliseconds.
	Pointer string `json:"json_pointer,omitempty"`
}

// Search is a search on Elasticsearch.
type Search struct {
	Index string `json:"index"`
	// Body is the search's body as JSON. Empty: all documents.
	Body string `json:"body,omitempty"`
	// Measure is MeasureTook or MeasureHits.
	Measure string `json:"measure"`
}

// Values of Search.Measure.
const (
	MeasureTook = "took_ms" // the time that the search took on the server, in milliseconds
	MeasureHits = "hits"    // the number of documents that match
)

// Reader reads metrics.
type Reader interface {
	// Read returns the metric's value. An error that wraps ErrNoValue means that the source answered without a usable
	// value; any other error means that it could not be read.
	Read(ctx context.Context, q Query) (float64, error)
	// Lacks returns, without any I/O, what must be configured to read the metric; empty if nothing is missing.
	Lacks(q Query) string
}

// PastReader also reads the value of a metric at an earlier time.
type PastReader interface {
	Reader
	// ReadAt is Read for an earlier time. Only Prometheus keeps the past; another source is an error.
	ReadAt(ctx context.Context, q Query, at time.Time) (float64, error)
}

// MomentReader can also read two metrics as of the same moment.
type MomentReader interface {
	PastReader
	// ReadNow is Read, and also returns the time of the value by the clock of its source, for ReadAt. It is zero if the
	// source has no clock.
	ReadNow(ctx context.Context, q Query) (float64, time.Time, error)
}

// duration returns the parsed text, or otherwise if the text is empty.
func duration(text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	return time.ParseDuration(text)
}

// orDefault is duration for a text that Check has accepted.
func orDefault(text string, otherwise time.Duration) time.Duration {
	d, err := duration(text, otherwise)
	if err != nil || d < 0 {
		return otherwise
	}
	return d
}

// After returns the time from the end of the work to the last reading.
func (r Rail) After() time.Duration { return orDefault(r.Wait, 0) }

// Every returns the time between two readings during a step.
func (r Rail) Every() time.Duration { return max(orDefault(r.Interval, DefaultInterval), MinInterval) }

// Delay returns the time from the start of the work until the first reading.
func (r Rail) Delay() time.Duration { return orDefault(r.InitialDelay, 0) }

// Tries returns how many readings it takes at most to exceed one of the limits, if none passes. Failed readings count
// in a row, so each breached or inconclusive reading allows as many of them again.
func (r Rail) Tries() int { return (1 + r.limit(Breached) + r.limit(Inconclusive)) * r.ErrorTries() }

// ErrorTries returns how many readings in a row have to fail to exceed the limit.
func (r Rail) ErrorTries() int { return 1 + r.limit(Unreadable) }

// limit returns how many readings of a state are tolerated.
func (r Rail) limit(state State) int {
	limit, otherwise := r.FailureLimit, 0
	switch state {
	case Unreadable:
		limit, otherwise = r.ErrorLimit, DefaultErrorLimit
	case Inconclusive:
		limit = r.InconclusiveLimit
	case Passed, Breached:
	}
	if limit == nil {
		return otherwise
	}
	return *limit
}

// Relative reports whether the rail compares with another value.
func (r Rail) Relative() bool { return r.MaxDrop != nil || r.MaxIncrease != nil }

// needsBaseline reports whether the rail compares with its own value from before the execution.
func (r Rail) needsBaseline() bool { return r.Relative() && r.Stable == "" }

// Bounds formats the bounds for people.
func (r Rail) Bounds() string {
	var parts []string
	for _, b := range []struct {
		name string
		v    *float64
		unit string
	}{
		{"min", r.Min, ""}, {"max", r.Max, ""}, {"max drop", r.MaxDrop, "%"}, {"max increase", r.MaxIncrease, "%"},
	} {
		if b.v != nil {
			parts = append(parts, fmt.Sprintf("%s %s%s", b.name, number(*b.v), b.unit))
		}
	}
	text := strings.Join(parts, ", ")
	if r.Stable != "" {
		text += " against the stable version"
	}
	return text
}

// Describe formats the rail in one line for a dry run, such as `errors: max 0.05, read every 10s; rollback on a
// breach`.
func (r Rail) Describe(traffic Traffic) string {
	out := fmt.Sprintf("%s: %s, read every %s", r.Name, r.Bounds(), r.Every())
	if d := r.Delay(); d > 0 {
		out += fmt.Sprintf(" from %s on", d)
	}
	if d := r.After(); d > 0 {
		out += fmt.Sprintf(" and %s after the end", d)
	}
	if r.MinSamples != nil {
		out += fmt.Sprintf(", with at least %s samples", number(*r.MinSamples))
	}
	for _, l := range []struct {
		state  State
		normal int
		what   string
	}{
		{Breached, 0, "breached"}, {Inconclusive, 0, "inconclusive"}, {Unreadable, DefaultErrorLimit, "failed"},
	} {
		if n := r.limit(l.state); n != l.normal {
			out += ", tolerates " + text.Count(int64(n), l.what+" reading")
			if l.state == Unreadable {
				out += " in a row"
			}
		}
	}
	if r.OnBreach == "" {
		return out // a gate, which has no consequence per guardrail
	}
	call := r.responseTo(Breached, traffic)
	if call == Warn {
		return out + "; a breach is a warning"
	}
	return out + fmt.Sprintf("; %s on a breach", call)
}

func number(v float64) string {
	const digits, bits = 6, 64
	return strconv.FormatFloat(v, 'g', digits, bits)
}
