// Package guard judges guardrails: a metric, its bounds, and what a breach calls for. It knows neither where metrics come from
// (Readers) nor what is being watched (package engine).
package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
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
}

// Check returns a problem at guardrails where rails can't be used.
func Check(rails []Rail) error {
	names := map[string]bool{}
	for i, r := range rails {
		why := r.wrong()
		if names[r.Name] {
			why = "two guardrails have this name"
		}
		names[r.Name] = true
		if why != "" {
			return &problem.Problem{
				What: fmt.Sprintf("Invalid guardrail %q", r.Name), Why: upper(why) + ".",
				Next: "A guardrail has a name, one of query, http and elasticsearch, and one or more of min, max, max_drop_percent and max_increase_percent.",
				Path: []string{"guardrails", strconv.Itoa(i)},
			}
		}
	}
	return nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (r Rail) wrong() string {
	sources := 0
	for _, set := range []bool{r.Prometheus != "", r.HTTP != nil, r.Search != nil} {
		if set {
			sources++
		}
	}
	wait, err := r.wait()
	switch {
	case strings.TrimSpace(r.Name) == "":
		return "it has no name"
	case sources != 1:
		return fmt.Sprintf("it has %d of query, http and elasticsearch, and must have one", sources)
	case r.Min == nil && r.Max == nil && !r.Relative():
		return "it has no bound"
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		return "its min is above its max"
	case negative(r.MaxDrop) || negative(r.MaxIncrease):
		return "max_drop_percent and max_increase_percent can't be negative"
	case err != nil:
		return fmt.Sprintf("its wait is no duration such as 5m: %s", err)
	case wait < 0 || wait > MaxWait:
		return fmt.Sprintf("its wait is not between 0 and %s", MaxWait)
	case !slices.Contains([]Breach{Rollback, Hold, Fail, Warn}, r.OnBreach):
		return fmt.Sprintf("its on_breach is %q, and rollback, hold, fail and warn are allowed", r.OnBreach)
	case r.Search != nil && r.Search.Measure != MeasureTook && r.Search.Measure != MeasureHits:
		return fmt.Sprintf("its measure is %q, and %s and %s are allowed", r.Search.Measure, MeasureTook, MeasureHits)
	case r.Search != nil && r.Search.Body != "" && !json.Valid([]byte(r.Search.Body)):
		return "the body of its search is no JSON"
	}
	return ""
}

func negative(v *float64) bool { return v != nil && (*v < 0 || math.IsNaN(*v)) }

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
