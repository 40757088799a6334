package dbt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Listing is what a selection would run, and what that reaches.
type Listing struct {
	// Models are those that dbt run would run, sorted by unique id. Ephemeral and empty models, which dbt selects but
	// never runs, are left out.
	Models []Model `json:"models"`
	// DownstreamModels and Exposures are the names of what depends on the models, directly or not, sorted.
	DownstreamModels []string `json:"downstream_models"`
	Exposures        []string `json:"exposures"`
	// DBTVersion is dbt Core's version, such as "1.11.16".
	DBTVersion string `json:"dbt_version"`
}

// Model is a selected model.
type Model struct {
	Name     string `json:"name"`
	UniqueID string `json:"unique_id"`
	// Path is the model's file, relative to its project or package.
	Path            string `json:"path"`
	Materialization string `json:"materialization"`
	// FullRefresh is the model's own full_refresh setting, which wins over the command line. Nil: the command line
	// decides.
	FullRefresh *bool `json:"full_refresh,omitempty"`
}

// AlwaysFullRefresh are the names of the incremental models whose own configuration makes every run a full refresh,
// whatever the command line says.
func (l Listing) AlwaysFullRefresh() []string {
	var names []string
	for _, m := range l.Models {
		if m.Materialization == "incremental" && m.FullRefresh != nil && *m.FullRefresh {
			names = append(names, m.Name)
		}
	}
	return names
}

// List asks dbt what s selects, without touching the project or the warehouse. Answers are kept in Config.WorkDir for
// as long as the project's files, the profiles, the environment and dbt stay the same. A part of s that matches nothing
// is an error (ErrUnknownModel), so is a selection without any model to run (ErrNoMatch) and an unknown variable
// (ErrUnknownVar).
func (c *CLI) List(ctx context.Context, s Selection) (Listing, error) {
	if err := s.Validate(); err != nil {
		return Listing{}, err
	}
	p, err := c.project()
	if err != nil {
		return Listing{}, err
	}
	question := []any{"list", s}
	key, err := c.fingerprint(ctx, p, question)
	if err != nil {
		return Listing{}, err
	}
	dir, err := c.workDir("list")
	if err != nil {
		return Listing{}, err
	}
	cached := filepath.Join(dir, key+".json")
	if listing, ok := readCached[Listing](cached); ok {
		return listing, nil
	}
	return once(ctx, &c.flight, key, func() (Listing, error) {
		listing, err := c.ask(ctx, p, s)
		if err != nil {
			return listing, err
		}
		// Files that changed while dbt read them make its answer one for no fingerprint at all.
		if again, err := c.fingerprint(ctx, p, question); err != nil || again != key {
			return listing, err
		}
		return listing, writeCached(cached, listing)
	})
}

// ask runs dbt ls in a scratch folder.
func (c *CLI) ask(ctx context.Context, p project, s Selection) (Listing, error) {
	files, err := c.files(p)
	if err != nil {
		return Listing{}, err
	}
	if err := checkVars(p, files, s.Vars); err != nil {
		return Listing{}, err
	}
	release, err := c.slot(ctx)
	if err != nil {
		return Listing{}, err
	}
	defer release()
	scratch, err := c.scratch("ls-*")
	if err != nil {
		return Listing{}, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // the cache matters, not the scratch
	argv := c.listCommand(s)
	run, err := c.start(ctx, launch{argv: argv, dir: scratch, project: p, scratch: true})
	if err != nil {
		return Listing{}, err
	}
	end := run.end(ctx)
	if err := end.failure(); err != nil {
		return Listing{}, err
	}
	c.keepParse(scratch, argv)
	m, err := readManifest(filepath.Join(scratch, targetFolder, "manifest.json"))
	if err != nil {
		return Listing{}, c.unreadable(err)
	}
	if err := c.unmatched(s, end.summary.Unmatched, m); err != nil {
		return Listing{}, err
	}
	return c.listing(s, end.summary, m)
}

// listing puts together what dbt ls printed and what the manifest holds of it.
func (c *CLI) listing(s Selection, log summary, m manifest) (Listing, error) {
	l := Listing{Models: []Model{}, DBTVersion: log.Version}
	var ids []string
	passive := 0
	for _, printed := range log.Printed {
		var row struct {
			UniqueID string `json:"unique_id"`
		}
		if json.Unmarshal([]byte(printed), &row) != nil || row.UniqueID == "" {
			continue // a print() of some macro
		}
		n, ok := m.Nodes[row.UniqueID]
		if !ok {
			return l, c.unreadable(fmt.Errorf("the manifest does not hold %s", row.UniqueID))
		}
		if n.Config.Materialized == "ephemeral" || strings.TrimSpace(n.RawCode) == "" {
			passive++
			continue
		}
		ids = append(ids, row.UniqueID)
		l.Models = append(l.Models, Model{
			Name: n.Name, UniqueID: row.UniqueID, Path: n.Path,
			Materialization: n.Config.Materialized, FullRefresh: n.Config.FullRefresh,
		})
	}
	if len(l.Models) == 0 {
		return l, c.noMatch(s, passive)
	}
	if err := c.shadowed(s, l, m); err != nil {
		return l, err
	}
	slices.SortFunc(l.Models, func(a, b Model) int { return strings.Compare(a.UniqueID, b.UniqueID) })
	l.DownstreamModels, l.Exposures = m.downstream(ids)
	return l, nil
}

// noMatch: dbt itself exits 0 where nothing is selected.
func (c *CLI) noMatch(s Selection, passive int) error {
	why := fmt.Sprintf("dbt finds no model for %s.", Line(s.selectors()))
	if passive > 0 {
		why = fmt.Sprintf("%s selects ephemeral or empty models only, which dbt never runs.", Line(s.selectors()))
	}
	return &problem.Problem{
		What: "No dbt model matches the selection",
		Why:  why,
		Next: "Correct models and exclude; `dbt ls` with the same selectors shows what they match.",
		Path: []string{"models"},
		Err:  ErrNoMatch,
	}
}

// unmatched names the parts of the selection of which dbt warned that they match nothing.
func (c *CLI) unmatched(s Selection, criteria []string, m manifest) error {
	if len(criteria) == 0 {
		return nil
	}
	var whys []string
	attribute := "exclude"
	for _, criterion := range criteria {
		if mentions(s.Models, criterion) {
			attribute = "models"
		}
		name := strings.Trim(criterion, "+@0123456789")
		hint := ""
		if !strings.ContainsAny(name, ":*") {
			hint = text.DidYouMean(name[strings.LastIndexByte(name, '.')+1:], m.modelNames())
		}
		whys = append(whys, fmt.Sprintf("%q matches no enabled model, seed or other node.%s", criterion, hint))
	}
	return &problem.Problem{
		What: "Unknown dbt model or selector",
		Why:  strings.Join(whys, " "),
		Next: "Correct or remove it; nothing is run with a selection of which a part does not exist.",
		Path: []string{attribute},
		Err:  ErrUnknownModel,
	}
}

// mentions tells whether a criterion, which may be part of an intersection, comes from the selectors.
func mentions(selectors []string, criterion string) bool {
	plain := strings.TrimLeft(criterion, "+")
	return slices.ContainsFunc(selectors, func(s string) bool {
		return slices.ContainsFunc(strings.Split(s, ","),
			func(part string) bool { return strings.TrimLeft(part, "+") == plain })
	})
}

// shadowed refuses the plain name of a seed, snapshot or source beside models: dbt run passes over it without a word.
func (c *CLI) shadowed(s Selection, l Listing, m manifest) error {
	for _, selector := range s.Models {
		kind := m.kindOf(selector)
		if kind == "" || slices.ContainsFunc(l.Models,
			func(sel Model) bool { return slices.Contains(m.Nodes[sel.UniqueID].FQN, selector) }) {
			continue
		}
		return &problem.Problem{
			What: "Not a dbt model",
			Why:  fmt.Sprintf("%q is a %s; `dbt run` runs models only and would pass over it.", selector, kind),
			Next: "Remove it, or select the models that depend on it with " + selector + "+.",
			Path: []string{"models"},
			Err:  ErrUnknownModel,
		}
	}
	return nil
}

func (c *CLI) unreadable(err error) error {
	return &problem.Problem{
		What: "dbt's answer can't be understood",
		Why:  c.secrets.String(err.Error()),
		Next: "Run `dbt ls` by hand in the project; versions 1.8 to 1.11 of dbt Core are known to work.",
		Err:  errors.Join(ErrUnhandled, errors.New(c.secrets.String(err.Error()))),
	}
}
