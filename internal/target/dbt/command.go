package dbt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"al.essio.dev/pkg/shellescape"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// MaxThreads is the most threads that a Selection may ask for. dbt knows no limit; warehouses queue far earlier.
const MaxThreads = 256

// Selection says which models to run, and how.
type Selection struct {
	// Models and Exclude are selectors in dbt's own syntax, one an element; Models is required.
	Models  []string `json:"models"`
	Exclude []string `json:"exclude,omitempty"`
	// Upstream also selects everything that the models depend on.
	Upstream bool `json:"upstream,omitempty"`
	// FullRefresh rebuilds incremental models from nothing.
	FullRefresh bool `json:"full_refresh,omitempty"`
	// Vars are dbt variables, for --vars.
	Vars map[string]any `json:"vars,omitempty"`
	// Threads is how many models run at once. Zero leaves it to the profile.
	Threads int `json:"threads,omitempty"`
}

// ancestors matches a selector that already names its ancestors: +m, 2+m, @m.
var ancestors = regexp.MustCompile(`^(@|\d*\+)`)

// Validate checks s without any I/O. Errors are problems of ErrSelection with the attribute's path.
func (s Selection) Validate() error {
	if len(s.Models) == 0 {
		return selectionProblem("No model is selected", "models is empty.", "Name at least one model or selector.",
			"models")
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

func checkSelectors(attribute string, selectors []string) error {
	for i, selector := range selectors {
		why := ""
		switch {
		case strings.TrimSpace(selector) == "":
			why = "it is empty"
		case strings.HasPrefix(selector, "-"):
			why = "it begins with -, and dbt would take it for a flag"
		case strings.ContainsFunc(selector, unicode.IsSpace), check.OneLine(selector) != "":
			why = "it contains a blank, which dbt would take for the end of the selector"
		case slices.Index(selectors, selector) < i:
			why = "it is there twice"
		default:
			continue
		}
		return selectionProblem("A selector is not valid", fmt.Sprintf("%q in %s: %s.", selector, attribute, why),
			"Write one selector an element, as after dbt's --select.", attribute, strconv.Itoa(i))
	}
	return nil
}

func selectionProblem(what, why, next string, path ...string) error {
	return &problem.Problem{What: what, Why: why, Next: next, Path: path, Err: ErrSelection}
}

// RunCommand is the `dbt run` of s, argument by argument, exactly as Start executes it and people are shown it.
func (c *CLI) RunCommand(s Selection) []string {
	argv := append([]string{c.cfg.Executable, "run"}, s.selectors()...)
	if s.FullRefresh {
		argv = append(argv, "--full-refresh")
	}
	if s.Threads > 0 {
		argv = append(argv, "--threads", strconv.Itoa(s.Threads))
	}
	return append(argv, c.common(s)...)
}

// listCommand is the `dbt ls` with the same selection.
func (c *CLI) listCommand(s Selection) []string {
	argv := append([]string{c.cfg.Executable, "ls", "--resource-type", "model", "--output", "json", "--output-keys",
		"unique_id"}, s.selectors()...)
	return append(argv, c.common(s)...)
}

func (s Selection) selectors() []string {
	with := s.selecting()
	argv := append([]string{"--select"}, with.Select...)
	if len(with.Exclude) > 0 {
		argv = append(append(argv, "--exclude"), with.Exclude...)
	}
	return argv
}

// selecting is what stands after --select and --exclude.
func (s Selection) selecting() selecting {
	with := selecting{Exclude: s.Exclude}
	for _, m := range s.Models {
		if s.Upstream && !ancestors.MatchString(m) {
			m = "+" + m
		}
		with.Select = append(with.Select, m)
	}
	return with
}

// common are the arguments that both commands take.
func (c *CLI) common(s Selection) []string {
	var argv []string
	if len(s.Vars) > 0 {
		vars, err := canonical(s.Vars)
		if err != nil { // Validate has said so; dbt will too.
			vars = err.Error()
		}
		argv = append(argv, "--vars", vars)
	}
	if c.cfg.Target != "" {
		argv = append(argv, "--target", c.cfg.Target)
	}
	return argv
}

// canonical is vars as JSON on one line, keys sorted, the same bytes each time.
func canonical(vars map[string]any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(vars); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// Line is argv as a person would type it in a shell.
func Line(argv []string) string { return shellescape.QuoteCommand(argv) }
