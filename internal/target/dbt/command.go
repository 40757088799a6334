package dbt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"al.essio.dev/pkg/shellescape"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// MaxThreads is the largest thread count of a Selection. dbt has no limit, but warehouses begin to queue statements at
// far fewer threads.
const MaxThreads = 256

// Selection says which models to run, and how.
type Selection struct {
	// Models and Exclude are selectors in dbt's own syntax, one per element.
	Models  []string `json:"models,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Selector is the name of a selector in selectors.yml, instead of Models and Exclude. Either Models or Selector is
	// required.
	Selector string `json:"selector,omitempty"`
	// State is the folder with the artifacts with which state: and result: selectors compare, relative to the project.
	State string `json:"state,omitempty"`
	// Defer reads models that are not selected from the relations that the run in State has built.
	Defer bool `json:"defer,omitempty"`
	// EventTimeStart and EventTimeEnd bound the batches of microbatch models. Set both or neither.
	EventTimeStart string `json:"event_time_start,omitempty"`
	EventTimeEnd   string `json:"event_time_end,omitempty"`
	// Upstream also selects everything that the models depend on.
	Upstream bool `json:"upstream,omitempty"`
	// FullRefresh rebuilds incremental models from scratch.
	FullRefresh bool `json:"full_refresh,omitempty"`
	// Vars are dbt variables, for --vars.
	Vars map[string]any `json:"vars,omitempty"`
	// Threads is how many models run at once. Zero: the profile decides.
	Threads int `json:"threads,omitempty"`
}

// ancestors matches a selector that already includes ancestors: +m, 2+m, @m.
var ancestors = regexp.MustCompile(`^(@|\d*\+)`)

// Validate checks s without any I/O. Errors are problems that wrap ErrSelection, with the attribute's path.
func (s Selection) Validate() error {
	if err := s.checkInputs(); err != nil {
		return err
	}
	if err := checkSelectors("models", s.Models); err != nil {
		return err
	}
	if err := checkSelectors("exclude", s.Exclude); err != nil {
		return err
	}
	for i, m := range s.Models {
		if s.Upstream && strings.Contains(m, ",") {
			return selectionProblem("upstream can't be combined with an intersection",
				fmt.Sprintf("%q selects an intersection, and dbt has no syntax for what is upstream of one.", m),
				"Put + before the parts that need it, and leave upstream out.", "models", strconv.Itoa(i))
		}
	}
	for key := range s.Vars {
		if check.Label(key) != "" {
			return selectionProblem("A variable has no name", fmt.Sprintf("The name %q %s.", key, check.Label(key)),
				"Name a variable of the dbt project.", "vars", problem.Key(key))
		}
	}
	if err := CheckVars(s.Vars); err != nil {
		return err
	}
	if s.Threads < 0 || s.Threads > MaxThreads {
		return selectionProblem("The number of threads is out of range", fmt.Sprintf("threads is %d.", s.Threads),
			fmt.Sprintf("Use 1 to %d.", MaxThreads), "threads")
	}
	if _, err := canonical(s.Vars); err != nil {
		return selectionProblem("vars can't be written as JSON", err.Error(),
			"Use strings, numbers, booleans, lists and maps.", "vars")
	}
	return nil
}

// checkInputs checks that the inputs that are set can be combined, and that selector, state, and the event-time window
// are valid.
func (s Selection) checkInputs() error {
	switch {
	case s.Selector == "" && len(s.Models) == 0:
		return selectionProblem("No model is selected", "models is empty.",
			"Name at least one model or selector in models, or a selector of selectors.yml in selector.", "models")
	case s.Selector != "" && len(s.Models)+len(s.Exclude) > 0:
		return selectionProblem("Conflicting selections", "selector is set together with models or exclude.",
			"Use either selector, or models and exclude.", "selector")
	case s.Selector != "" && s.Upstream:
		return selectionProblem("upstream can't be combined with selector",
			"selector names a selection in selectors.yml.",
			"Select the models upstream there, with parents: true.", "upstream")
	case s.Selector != "" && (strings.HasPrefix(s.Selector, "-") || check.OneLine(s.Selector) != ""):
		return selectionProblem("The selector is not valid", fmt.Sprintf("%q can't be the name of a selector.",
			s.Selector),
			"Use a name of selectors.yml.", "selector")
	case s.Defer && s.State == "":
		return selectionProblem("defer needs state", "state is not set.",
			"Set state to the folder with the manifest.json of the run to defer to.", "state")
	case strings.HasPrefix(s.State, "-"):
		return selectionProblem("The state folder is not valid", fmt.Sprintf("%q begins with -.", s.State),
			"Use the path of a folder.", "state")
	case (s.EventTimeStart == "") != (s.EventTimeEnd == ""):
		return selectionProblem("Incomplete event-time window", "Only one of event_time_start and event_time_end is "+
			"set.",
			"Set both or none.", "event_time_start")
	}
	return s.checkWindow()
}

// checkWindow checks the event-time window. dbt interprets its ends as dates or times in UTC.
func (s Selection) checkWindow() error {
	if s.EventTimeStart == "" {
		return nil
	}
	var ends [2]time.Time
	for i, end := range []string{s.EventTimeStart, s.EventTimeEnd} {
		attribute := [...]string{"event_time_start", "event_time_end"}[i]
		if ends[i] = eventTime(end); ends[i].IsZero() || len(end) > len("2025-10-01T06:00:00") {
			return selectionProblem("The event-time window is not valid", fmt.Sprintf("%s is %q.", attribute, end),
				"Use a date or a time in UTC, such as 2025-10-01 or 2025-10-01T06:00:00.", attribute)
		}
	}
	if !ends[0].Before(ends[1]) {
		return selectionProblem("The event-time window is empty",
			fmt.Sprintf("event_time_start %s is not before event_time_end %s.", s.EventTimeStart, s.EventTimeEnd),
			"Use an earlier start or a later end.", "event_time_start")
	}
	return nil
}

func checkSelectors(attribute string, selectors []string) error {
	for i, selector := range selectors {
		why := ""
		switch {
		case strings.TrimSpace(selector) == "":
			why = "it is empty"
		case strings.HasPrefix(selector, "-"):
			why = "it begins with -, and dbt would take it for a flag"
		case strings.ContainsFunc(selector, unicode.IsSpace), check.OneLine(selector) != "":
			why = "it contains a space, which dbt would take for the end of the selector"
		case slices.Index(selectors, selector) < i:
			why = "it is a duplicate"
		default:
			continue
		}
		return selectionProblem("A selector is not valid", fmt.Sprintf("%q in %s: %s.", selector, attribute, why),
			"Write one selector per element, as after dbt's --select.", attribute, strconv.Itoa(i))
	}
	return nil
}

func selectionProblem(what, why, next string, path ...string) error {
	return &problem.Problem{What: what, Why: why, Next: next, Path: path, Err: ErrSelection}
}

// RunCommand returns the arguments of `dbt run` for s, exactly as StartReviewed executes them and as plans show them.
func (c *CLI) RunCommand(s Selection) []string {
	argv := append([]string{c.cfg.Executable, "run"}, s.selectors()...)
	if s.FullRefresh {
		argv = append(argv, "--full-refresh")
	}
	if s.Threads > 0 {
		argv = append(argv, "--threads", strconv.Itoa(s.Threads))
	}
	if s.EventTimeStart != "" {
		argv = append(argv, "--event-time-start", s.EventTimeStart, "--event-time-end", s.EventTimeEnd)
	}
	return append(argv, c.common(s)...)
}

// listCommand returns the arguments of `dbt ls` with the same selection.
func (c *CLI) listCommand(s Selection) []string {
	argv := append([]string{c.cfg.Executable, "ls", "--resource-type", "model", "--output", "json", "--output-keys",
		"unique_id"}, s.selectors()...)
	return append(argv, c.common(s)...)
}

func (s Selection) selectors() []string {
	with := s.selecting()
	if with.Selector != "" {
		return []string{"--selector", with.Selector}
	}
	argv := append([]string{"--select"}, with.Select...)
	if len(with.Exclude) > 0 {
		argv = append(append(argv, "--exclude"), with.Exclude...)
	}
	return argv
}

// selecting returns the selection for dbt's NodeSelector. Upstream becomes a + before each model.
func (s Selection) selecting() selecting {
	with := selecting{Exclude: s.Exclude, Selector: s.Selector, State: s.State}
	for _, m := range s.Models {
		if s.Upstream && !ancestors.MatchString(m) {
			m = "+" + m
		}
		with.Select = append(with.Select, m)
	}
	return with
}

// varsOf returns the arguments that pass the variables.
func varsOf(s Selection) []string {
	if len(s.Vars) == 0 {
		return nil
	}
	vars, err := canonical(s.Vars)
	if err != nil { // Validate has reported it; dbt will too
		vars = err.Error()
	}
	return []string{"--vars", vars}
}

// common returns the arguments that `dbt run`, `dbt ls`, and `dbt compile` have in common.
func (c *CLI) common(s Selection) []string {
	argv := varsOf(s)
	if s.State != "" {
		argv = append(argv, "--state", s.State)
	}
	if s.Defer {
		argv = append(argv, "--defer")
	}
	if c.cfg.Target != "" {
		argv = append(argv, "--target", c.cfg.Target)
	}
	return argv
}

// canonical returns vars as JSON on one line with sorted keys, so equal vars have equal bytes.
func canonical(vars map[string]any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(vars); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// Line returns argv as typed in a shell.
func Line(argv []string) string { return shellescape.QuoteCommand(argv) }
