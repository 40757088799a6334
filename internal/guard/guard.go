// Package guard judges guardrails: a metric, its bounds, and what a breach calls for. It knows neither where metrics
// come from (Readers) nor what is being watched (package engine).
package guard

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Breach is what a breach calls for.
type Breach string

// Values of on_breach.
const (
	Rollback Breach = "rollback" // go back to the state of before, in one step
	Hold     Breach = "hold"     // stop where it is; the execution counts as cancelled
	Fail     Breach = "fail"     // stop where it is; the execution counts as failed
	Warn     Breach = "warn"     // go on and say so
)

// MaxWait bounds wait: an execution has to end.
const MaxWait = 24 * time.Hour

// Rail is a guardrail as the configuration has it.
type Rail struct {
	Name string `json:"name"`
	Query
	// Min and Max bound the value itself.
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
	// MaxDrop and MaxIncrease bound its change against the baseline, in percent of the baseline.
	MaxDrop     *float64 `json:"max_drop_percent,omitempty"`
	MaxIncrease *float64 `json:"max_increase_percent,omitempty"`
	// Wait is how long after the end of the work the last reading is taken, as a duration such as "5m". Empty: at once.
	Wait     string `json:"wait,omitempty"`
	OnBreach Breach `json:"on_breach"`
}

// Query says where the metric comes from: exactly one of its fields is set.
type Query struct {
	// Prometheus is a query that gives one number.
	Prometheus string  `json:"query,omitempty"`
	HTTP       *HTTP   `json:"http,omitempty"`
	Search     *Search `json:"elasticsearch,omitempty"`
}

// HTTP is a GET of an address.
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
	MeasureTook = "took_ms" // how long the search took, in milliseconds, as the server says
	MeasureHits = "hits"    // how many documents match
)

// Reader reads metrics.
type Reader interface {
	// Read returns the metric's value. An error of any kind, and NaN, make the guardrail inconclusive.
	Read(ctx context.Context, q Query) (float64, error)
	// Lacks says, without asking anybody, what has to be configured before the metric can be read; empty where it can
	// be.
	Lacks(q Query) string
}

func (r Rail) wait() (time.Duration, error) {
	if r.Wait == "" {
		return 0, nil
	}
	return time.ParseDuration(r.Wait)
}

// After is how long after the end of the work the last reading is taken.
func (r Rail) After() time.Duration {
	d, err := r.wait()
	if err != nil {
		return 0
	}
	return d
}

// Relative tells whether the rail needs a baseline.
func (r Rail) Relative() bool { return r.MaxDrop != nil || r.MaxIncrease != nil }

// Bounds writes the bounds for people.
func (r Rail) Bounds() string {
	var parts []string
	for _, b := range []struct {
		name string
		v    *float64
		unit string
	}{
		{"min", r.Min, ""}, {"max", r.Max, ""}, {"max drop", r.MaxDrop, " %"}, {"max increase", r.MaxIncrease, " %"},
	} {
		if b.v != nil {
			parts = append(parts, fmt.Sprintf("%s %s%s", b.name, number(*b.v), b.unit))
		}
	}
	return strings.Join(parts, ", ")
}

func number(v float64) string {
	const digits, bits = 6, 64
	return strconv.FormatFloat(v, 'g', digits, bits)
}
