package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// selecting is a selection in the form that dbt's NodeSelector takes.
type selecting struct {
	Select   []string `json:"select,omitempty"`
	Exclude  []string `json:"exclude,omitempty"`
	Selector string   `json:"selector,omitempty"`
	State    string   `json:"state,omitempty"`
}

// reviewed is the helper's answer to a review.
type reviewed struct {
	// MustParse reports that there is no answer yet, because the project must be parsed first.
	MustParse bool `json:"must_parse"`
	Parsed    bool `json:"parsed"`
	// Parse identifies the parse that the answer is from: the number of the question that caused it.
	Parse int `json:"parse"`
	// Seconds is how long the import of dbt and the parse took, if the question needed them.
	Seconds struct {
		Import float64 `json:"import"`
		Parse  float64 `json:"parse"`
	} `json:"seconds"`
	About struct {
		Versions struct {
			DBT string `json:"dbt"`
		} `json:"versions"`
		Connection map[string]string `json:"connection"`
		Identity   map[string]string `json:"identity"`
		Threads    int               `json:"threads"`
		RunHooks   []struct {
			SQL string `json:"sql"`
		} `json:"run_hooks"`
	} `json:"about"`
	// Names are the nodes that the selections name, or all if a selector matches nothing.
	Names      [][2]string `json:"names"`
	Selections []struct {
		Unmatched struct {
			Select  []string `json:"select"`
			Exclude []string `json:"exclude"`
		} `json:"unmatched"`
		Models     []reviewedModel     `json:"models"`
		Passive    int                 `json:"passive"`
		NotRun     map[string][]string `json:"not_run"`
		Content    json.RawMessage     `json:"content"`
		Downstream []string            `json:"downstream"`
		Exposures  []string            `json:"exposures"`
	} `json:"selections"`
}

type reviewedModel struct {
	Model
	Version string `json:"version"`
	Timed   bool   `json:"timed"`
	// Concurrent reports that batches of a microbatch model may run at the same time.
	Concurrent bool `json:"concurrent"`
	Config     struct {
		Materialized string `json:"materialized"`
		FullRefresh  *bool  `json:"full_refresh"`
		Strategy     string `json:"incremental_strategy"`
		UniqueKey    any    `json:"unique_key"`
		SchemaChange string `json:"on_schema_change"`
		BatchSize    string `json:"batch_size"`
		Begin        string `json:"begin"`
		Lookback     int    `json:"lookback"`
	} `json:"config"`
}

// milliseconds is the number of milliseconds in a second.
const milliseconds = 1000

// review asks the helper what s would run. If the helper must parse the project first, it says so and gets a folder for
// it.
func (c *CLI) review(ctx context.Context, p project, s Selection, state string) (Listing, int, error) {
	var answer reviewed
	q := question{Op: "review", Argv: append([]string{"run"}, c.common(s)...), State: state,
		Selections: []selecting{s.selecting()}, Packages: p.Copy}
	if s.FullRefresh {
		q.Argv = append(q.Argv, "--full-refresh")
	}
	ask := func(string) (question, error) { return q, nil }
	err := c.helper.ask(ctx, ask, &answer)
	if err == nil && answer.MustParse {
		if imported := answer.Seconds.Import; imported > 0 {
			logging.Debug(ctx, logging.DBT, "dbt imported", "ms", int64(imported*milliseconds))
		}
		answer = reviewed{}
		err = c.parseAndReview(ctx, s, q, &answer)
	}
	if err != nil {
		return Listing{}, 0, c.reviewProblem(err)
	}
	logging.Debug(ctx, logging.DBT, "selection reviewed", "parsed", answer.Parsed, "select", s.selecting().Select)
	if len(answer.Selections) != 1 {
		return Listing{}, 0, c.unreadable(errors.New("the helper returned no selection"))
	}
	l, err := c.reviewListing(s, answer)
	return l, answer.Parse, err
}

// parseAndReview gives the helper a folder to parse the project in, with dbt's earlier parse if one was saved. It saves
// the new parse.
func (c *CLI) parseAndReview(ctx context.Context, s Selection, q question, answer *reviewed) error {
	cached, err := c.parsePath(s)
	if err != nil {
		return err
	}
	folder := ""
	// The folder can contain secrets, and is not needed any longer: the helper keeps the parse in memory.
	defer func() { _ = os.RemoveAll(folder) }()
	err = c.helper.ask(ctx, func(scratch string) (question, error) {
		if folder, err = os.MkdirTemp(scratch, "parse-*"); err != nil {
			return question{}, workDirProblem(scratch, err)
		}
		if data, ok := c.readEntry(ctx, cached); ok {
			err = os.WriteFile(filepath.Join(folder, parseState), data, private)
		}
		q.TargetPath = folder
		return q, err
	}, answer)
	if err == nil && answer.Parsed {
		logging.Debug(ctx, logging.DBT, "project parsed", "ms", int64(answer.Seconds.Parse*milliseconds))
	}
	if err == nil && answer.Parsed && q.Packages == "" {
		c.keepParse(ctx, filepath.Join(folder, parseState), cached)
	}
	return err
}

// reviewProblem explains an error from the helper.
func (c *CLI) reviewProblem(err error) error {
	var failure *helperError
	if !errors.As(err, &failure) {
		return err
	}
	if _, known := diagnose(failure.Text); failure.Kind == refused || known {
		return c.mask(explainText(failure.Text, false))
	}
	return c.mask(&problem.Problem{
		What: "dbt's programmatic interface can't be used",
		Why:  failure.Error(),
		Next: "Use dbt Core " + testedVersions + ", or set dbt.executable to a script that starts dbt: its command " +
			"line is then used instead.",
		Path: []string{"dbt", "executable"},
		Err:  errors.Join(ErrUnhandled, failure),
	})
}

// reviewListing converts the helper's answer to a Listing.
func (c *CLI) reviewListing(s Selection, answer reviewed) (Listing, error) {
	found, about := answer.Selections[0], answer.About
	names := nodeNames(answer.Names)
	l := Listing{
		Models: []Model{}, DownstreamModels: found.Downstream, Exposures: found.Exposures,
		DBTVersion: about.Versions.DBT, Connection: c.maskAll(about.Connection),
		Path: about.Connection["path"], Identity: c.maskIdentity(about.Identity),
		Content: found.Content, NotRun: found.NotRun, Threads: about.Threads, Interface: true,
	}
	for _, hook := range about.RunHooks {
		l.RunHooks = append(l.RunHooks, c.secrets.String(hook.SQL))
	}
	var concurrent []string
	for _, m := range found.Models {
		model := m.Model
		if m.Version != "" {
			model.Name += ".v" + m.Version
		}
		model.Materialization, model.FullRefresh = m.Config.Materialized, m.Config.FullRefresh
		model.Strategy, model.BatchSize = m.Config.Strategy, m.Config.BatchSize
		if model.Begin = m.Config.Begin; m.Config.Strategy == "microbatch" {
			model.Lookback = m.Config.Lookback
		}
		model.SchemaChange, model.HasUniqueKey = m.Config.SchemaChange, hasKey(m.Config.UniqueKey)
		model.Hooks.Pre, model.Hooks.Post = c.maskList(model.Hooks.Pre), c.maskList(model.Hooks.Post)
		l.Models = append(l.Models, model)
		if m.Concurrent {
			concurrent = append(concurrent, model.Name)
		}
		if m.Timed {
			l.Warnings = append(l.Warnings, fmt.Sprintf("The configuration of %s depends on the time or on the run, "+
				"so the digest changes with every plan, and an approval never matches it. Use a variable instead, "+
				"such as var('day').", model.Name))
		}
	}
	slices.SortFunc(l.Models, func(a, b Model) int { return strings.Compare(a.UniqueID, b.UniqueID) })
	qualifyDuplicates(l.Models)
	if len(found.Unmatched.Select) > 0 {
		return l, c.unknownSelectors(s, found.Unmatched.Select, names)
	}
	for _, selector := range found.Unmatched.Exclude {
		l.Warnings = append(l.Warnings, "exclude: "+selector+" matches nothing")
	}
	if err := onlyOthers(s, l, names); err != nil {
		return l, err
	}
	if len(l.Models) == 0 {
		return l, c.noMatch(s, found.Passive, found.NotRun)
	}
	if err := s.checkFeatures(l); err != nil {
		return l, err
	}
	l.Warnings = append(l.Warnings, s.versionWarnings(l, concurrent)...)
	return l, nil
}

// qualifyDuplicates adds the package to the names of models that share a name.
func qualifyDuplicates(models []Model) {
	count := map[string]int{}
	for _, m := range models {
		count[m.Name]++
	}
	for i, m := range models {
		if count[m.Name] > 1 {
			_, models[i].Name, _ = strings.Cut(m.UniqueID, ".")
		}
	}
}

// hasKey reports whether a unique_key is set: a name, or a list of names.
func hasKey(key any) bool {
	switch k := key.(type) {
	case string:
		return k != ""
	case []any:
		return len(k) > 0
	default:
		return key != nil
	}
}

func (c *CLI) maskList(texts []string) []string {
	var masked []string
	for _, text := range texts {
		masked = append(masked, c.secrets.String(text))
	}
	return masked
}

func (c *CLI) maskAll(facts map[string]string) map[string]string {
	masked := make(map[string]string, len(facts))
	for name, value := range facts {
		masked[name] = c.secrets.String(value)
	}
	return masked
}

// maskIdentity replaces values that contain a secret with their hashes, because two targets that differ only in such a
// value are different.
func (c *CLI) maskIdentity(facts map[string]string) map[string]string {
	masked := make(map[string]string, len(facts))
	for name, value := range facts {
		masked[name] = value
		if c.secrets.String(value) != value {
			sum := sha256.Sum256([]byte(value))
			masked[name] = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	return masked
}
