package guard

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// pathOf is the attribute of a resource that contains guardrails.
const pathOf = "guardrail"

// Check returns a problem at the attribute of an invalid guardrail.
func Check(rails []Rail) error {
	names := map[string]bool{}
	for i, r := range rails {
		at, why := r.wrong()
		if names[r.Name] && why == "" {
			at, why = []string{"name"}, "two guardrails have this name"
		}
		names[r.Name] = true
		if why != "" {
			return &problem.Problem{
				What: fmt.Sprintf("Invalid guardrail %q", r.Name), Why: text.Capitalized(why) + ".",
				Next: "A guardrail has a name, one of query, http and elasticsearch, and one or more of min, max, " +
					"max_drop_percent and max_increase_percent.",
				Path: append([]string{pathOf, strconv.Itoa(i)}, at...),
			}
		}
	}
	return nil
}

// CheckSources returns a problem at a guardrail whose source is not configured: it could never pass.
func CheckSources(reader Reader, rails []Rail) error {
	if reader == nil {
		return nil
	}
	for i, r := range rails {
		for _, source := range r.sources() {
			lack := reader.Lacks(source.query)
			if lack == "" {
				continue
			}
			return &problem.Problem{
				What: fmt.Sprintf("Guardrail %q can't be read", r.Name), Why: text.Capitalized(lack) + ".",
				Next: "Nothing has run. Configure the source, or remove the guardrail.",
				Path: []string{pathOf, strconv.Itoa(i), source.attribute},
			}
		}
	}
	return nil
}

// CheckSteps returns a problem at an interval that is longer than a step of the execution: nothing would be read during
// the step. A step of zero has no length.
func CheckSteps(rails []Rail, step time.Duration) error {
	for i, r := range rails {
		if r.Interval == "" || step <= 0 || r.Every() <= step {
			continue
		}
		return &problem.Problem{
			What: fmt.Sprintf("Guardrail %q is not read often enough", r.Name),
			Why: fmt.Sprintf("Its interval is %s, and a step lasts %s, so nothing would be read during a step.",
				r.Every(), step),
			Next: "Use a shorter interval, fewer steps or a longer gradual_duration.",
			Path: []string{pathOf, strconv.Itoa(i), "interval"},
		}
	}
	return nil
}

// source is a query of a rail with the query's attribute.
type source struct {
	attribute string
	query     Query
}

// prometheus returns another query to Prometheus, with the accepted warnings of r.
func (r Rail) prometheus(query string) Query {
	return Query{Prometheus: query, AcceptWarnings: r.AcceptWarnings}
}

func (r Rail) sources() []source {
	all := []source{{"query", r.Query}}
	switch {
	case r.HTTP != nil:
		all[0].attribute = "http"
	case r.Search != nil:
		all[0].attribute = "elasticsearch"
	}
	if r.Stable != "" {
		all = append(all, source{"stable_query", r.prometheus(r.Stable)})
	}
	if r.Samples != "" {
		all = append(all, source{"samples_query", r.prometheus(r.Samples)})
	}
	return all
}

// wrong returns what is wrong with r, and the path of the attribute. why is empty if r is valid.
func (r Rail) wrong() (at []string, why string) {
	sources := 0
	for _, set := range []bool{r.Prometheus != "", r.HTTP != nil, r.Search != nil} {
		if set {
			sources++
		}
	}
	switch {
	case strings.TrimSpace(r.Name) == "":
		return []string{"name"}, "it has no name"
	case check.Label(r.Name) != "":
		return []string{"name"}, "its name " + check.Label(r.Name)
	case sources != 1:
		return nil, fmt.Sprintf("it has %d of query, http and elasticsearch, and must have exactly one", sources)
	case r.Min == nil && r.Max == nil && !r.Relative():
		return nil, "it has no bound"
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		return []string{"min"}, "its min is above its max"
	case negative(r.MaxDrop):
		return []string{"max_drop_percent"}, "its max_drop_percent is negative"
	case negative(r.MaxIncrease):
		return []string{"max_increase_percent"}, "its max_increase_percent is negative"
	case !slices.Contains([]Breach{Rollback, Hold, Fail, Warn}, r.OnBreach):
		return []string{"on_breach"}, fmt.Sprintf("its on_breach is %q; use rollback, hold, fail or warn", r.OnBreach)
	}
	for _, look := range []func() ([]string, string){r.wrongTimes, r.wrongComparison, r.wrongSource} {
		if at, why := look(); why != "" {
			return at, why
		}
	}
	return nil, ""
}

// wrongTimes checks durations and limits.
func (r Rail) wrongTimes() (at []string, why string) {
	for _, d := range []struct {
		name, text string
		least      time.Duration
	}{{"wait", r.Wait, 0}, {"interval", r.Interval, MinInterval}, {"initial_delay", r.InitialDelay, 0}} {
		switch v, err := duration(d.text, d.least); {
		case err != nil:
			return []string{d.name}, fmt.Sprintf("its %s is not a duration such as 5m: %s", d.name, err)
		case v < d.least || v > MaxWait:
			return []string{d.name}, fmt.Sprintf("its %s is not between %s and %s", d.name, d.least, MaxWait)
		}
	}
	for _, l := range []struct {
		name  string
		limit *int
	}{
		{"failure_limit", r.FailureLimit}, {"consecutive_error_limit", r.ErrorLimit},
		{"inconclusive_limit", r.InconclusiveLimit},
	} {
		if l.limit != nil && (*l.limit < 0 || *l.limit > MaxLimit) {
			return []string{l.name}, fmt.Sprintf("its %s is not between 0 and %d", l.name, MaxLimit)
		}
	}
	return nil, ""
}

// wrongComparison checks what the value is compared with and how many samples it needs.
func (r Rail) wrongComparison() (at []string, why string) {
	switch {
	case r.Stable != "" && r.Prometheus == "":
		return []string{"stable_query"}, "it has a stable_query and no query for the version that is compared with it"
	case r.Stable != "" && !r.Relative():
		return []string{"stable_query"},
			"it has a stable_query, and neither max_drop_percent nor max_increase_percent, which compare with it"
	case r.MinSamples != nil && r.Samples == "":
		return []string{"min_samples"}, "it has min_samples and no samples_query that counts them"
	case r.Samples != "" && r.MinSamples == nil:
		return []string{"samples_query"}, "it has a samples_query and no min_samples"
	case r.MinSamples != nil && (math.IsNaN(*r.MinSamples) || *r.MinSamples < 1):
		return []string{"min_samples"}, "its min_samples is less than 1"
	}
	return nil, ""
}

// LeastWarning is the minimum length of a text in accept_warnings. A shorter one would accept warnings that nobody has
// seen.
const LeastWarning = 10

func (r Rail) wrongSource() (at []string, why string) {
	if len(r.AcceptWarnings) > 0 && r.Prometheus == "" {
		return []string{"accept_warnings"}, "it has accept_warnings and no query: only Prometheus answers with warnings"
	}
	for i, text := range r.AcceptWarnings {
		if len(strings.TrimSpace(text)) < LeastWarning {
			return []string{"accept_warnings", strconv.Itoa(i)},
				fmt.Sprintf("a text in accept_warnings has fewer than %d characters", LeastWarning)
		}
	}
	switch {
	case r.HTTP != nil && check.WebAddress(r.HTTP.URL) != "":
		return []string{"http", "url"}, "its url can't be used: " + check.WebAddress(r.HTTP.URL)
	case r.HTTP != nil && r.HTTP.Pointer != "" && !strings.HasPrefix(r.HTTP.Pointer, "/"):
		return []string{"http", "json_pointer"},
			"its json_pointer does not begin with a slash; write it like /stats/error_rate"
	case r.Search == nil:
	case !isIndex(r.Search.Index):
		return []string{"elasticsearch", "index"}, "its index is not a name or a pattern of indices or aliases"
	case r.Search.Measure != MeasureTook && r.Search.Measure != MeasureHits:
		return []string{"elasticsearch", "measure"}, fmt.Sprintf("its measure is %q; use %s or %s",
			r.Search.Measure, MeasureTook, MeasureHits)
	case r.Search.Body != "" && json.Unmarshal([]byte(r.Search.Body), &map[string]any{}) != nil:
		return []string{"elasticsearch", "body"}, "its body is not a JSON object"
	}
	return nil, ""
}

// isIndex reports whether the name is safe in a path, where a slash, also an escaped one, would lead to something other
// than a search.
func isIndex(name string) bool {
	return check.OneLine(name) == "" && !strings.ContainsAny(name, "\\/?\"<>| #%") && name != "." && name != ".." &&
		!strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "-")
}

func negative(v *float64) bool { return v != nil && (*v < 0 || math.IsNaN(*v)) }
