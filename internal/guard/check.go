package guard

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Check returns a problem at the part of guardrails that can't be used.
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
				What: fmt.Sprintf("Invalid guardrail %q", r.Name), Why: upper(why) + ".",
				Next: "A guardrail has a name, one of query, http and elasticsearch, and one or more of min, max, " +
					"max_drop_percent and max_increase_percent.",
				Path: append([]string{"guardrail", strconv.Itoa(i)}, at...),
			}
		}
	}
	return nil
}

// CheckSources returns a problem at the source of a guardrail that is not configured, and so could never pass.
func CheckSources(reader Reader, rails []Rail) error {
	for i, r := range rails {
		lack := ""
		if reader != nil {
			lack = reader.Lacks(r.Query)
		}
		if lack == "" {
			continue
		}
		return &problem.Problem{
			What: fmt.Sprintf("Guardrail %q can't be read", r.Name), Why: "Nothing tells where: " + lack + ".",
			Next: "Nothing has run. Configure it, or take the guardrail out.", Path: []string{"guardrail",
				strconv.Itoa(i), r.source()},
		}
	}
	return nil
}

// source is the attribute that says where the metric comes from.
func (r Rail) source() string {
	switch {
	case r.HTTP != nil:
		return "http"
	case r.Search != nil:
		return "elasticsearch"
	default:
		return "query"
	}
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// wrong says what is wrong with r, and with which part of it.
func (r Rail) wrong() (at []string, why string) {
	sources := 0
	for _, set := range []bool{r.Prometheus != "", r.HTTP != nil, r.Search != nil} {
		if set {
			sources++
		}
	}
	wait, err := r.wait()
	switch {
	case strings.TrimSpace(r.Name) == "":
		return []string{"name"}, "it has no name"
	case check.Label(r.Name) != "":
		return []string{"name"}, "its name " + check.Label(r.Name)
	case sources != 1:
		return nil, fmt.Sprintf("it has %d of query, http and elasticsearch, and must have one", sources)
	case r.Min == nil && r.Max == nil && !r.Relative():
		return nil, "it has no bound"
	case r.Min != nil && r.Max != nil && *r.Min > *r.Max:
		return []string{"min"}, "its min is above its max"
	case negative(r.MaxDrop):
		return []string{"max_drop_percent"}, "its max_drop_percent can't be negative"
	case negative(r.MaxIncrease):
		return []string{"max_increase_percent"}, "its max_increase_percent can't be negative"
	case err != nil:
		return []string{"wait"}, fmt.Sprintf("its wait is no duration such as 5m: %s", err)
	case wait < 0 || wait > MaxWait:
		return []string{"wait"}, fmt.Sprintf("its wait is not between 0 and %s", MaxWait)
	case !slices.Contains([]Breach{Rollback, Hold, Fail, Warn}, r.OnBreach):
		return []string{"on_breach"}, fmt.Sprintf("its on_breach is %q, and rollback, hold, fail and warn are allowed",
			r.OnBreach)
	}
	return r.wrongSource()
}

func (r Rail) wrongSource() (at []string, why string) {
	switch {
	case r.HTTP != nil && check.WebAddress(r.HTTP.URL) != "":
		return []string{"http", "url"}, "its url can't be used: " + check.WebAddress(r.HTTP.URL)
	case r.HTTP != nil && r.HTTP.Pointer != "" && !strings.HasPrefix(r.HTTP.Pointer, "/"):
		return []string{"http", "json_pointer"}, "its json_pointer does not begin with a slash, as in /stats/error_rate"
	case r.Search == nil:
	case !isIndex(r.Search.Index):
		return []string{"elasticsearch", "index"}, "its index is no name of indices, aliases or patterns"
	case r.Search.Measure != MeasureTook && r.Search.Measure != MeasureHits:
		return []string{"elasticsearch", "measure"}, fmt.Sprintf("its measure is %q, and %s and %s are allowed",
			r.Search.Measure, MeasureTook, MeasureHits)
	case r.Search.Body != "" && json.Unmarshal([]byte(r.Search.Body), &map[string]any{}) != nil:
		return []string{"elasticsearch", "body"}, "the body of its search is no JSON object"
	}
	return nil, ""
}

// isIndex tells whether the name can stand in a path, where a slash would lead to something else than a search.
func isIndex(name string) bool {
	return check.OneLine(name) == "" && !strings.ContainsAny(name, "\\/?\"<>| #") && name != "." && name != ".." &&
		!strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "-")
}

func negative(v *float64) bool { return v != nil && (*v < 0 || math.IsNaN(*v)) }
