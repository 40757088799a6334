package dbt

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Listing describes what a selection would run, and what depends on that.
type Listing struct {
	// Models are the models that `dbt run` would run, sorted by unique id. Ephemeral and empty models, which dbt
	// selects but never runs, are left out.
	Models []Model `json:"models"`
	// DownstreamModels and Exposures are the names of other models and of exposures that depend on the models, directly
	// or indirectly, sorted.
	DownstreamModels []string `json:"downstream_models"`
	Exposures        []string `json:"exposures"`
	// NotRun are the names of nodes that the selection matches but `dbt run` does not run, by kind: test, unit_test,
	// seed, snapshot, exposure, ephemeral, ...
	NotRun map[string][]string `json:"not_run,omitempty"`
	// RunHooks are the on-run-start and on-run-end statements, as templates that are not rendered.
	RunHooks []string `json:"run_hooks,omitempty"`
	// DBTVersion is dbt Core's version, such as "1.11.16".
	DBTVersion string `json:"dbt_version"`
	// Connection describes the connection for people: adapter, target, database, schema, host, port, path. No secrets.
	Connection map[string]string `json:"connection,omitempty"`
	// Path is the database file, or empty. Unlike Connection it can contain a secret; it is used only to open the file.
	Path string `json:"path,omitempty"`
	// Identity identifies the target, regardless of its name.
	Identity map[string]string `json:"identity"`
	// Content is a JSON object with checksums of what runs.
	Content json.RawMessage `json:"content"`
	// Threads is how many models the profile runs at once, or zero if that is unknown.
	Threads int `json:"threads,omitempty"`
	// Interface reports that dbt's programmatic interface answered. Otherwise the command line did, and Content covers
	// files.
	Interface bool `json:"interface"`
	// Programs are the executable and, if Interface is set, the RECORD files of dbt-core and of the adapter. They are
	// hashed for each call of List, and not cached.
	Programs []proc.Program `json:"-"`
	// Warnings are for the reader of the plan.
	Warnings []string `json:"warnings,omitempty"`
}

// IDs returns the unique ids of the models, sorted.
func (l Listing) IDs() []string {
	all := ids(l.Models)
	slices.Sort(all)
	return all
}

// Model is a selected model.
type Model struct {
	Name     string `json:"name"`
	UniqueID string `json:"unique_id"`
	// Path is the model's file, relative to its project or package.
	Path            string `json:"path"`
	Materialization string `json:"materialization"`
	// FullRefresh is the model's own full_refresh setting, which overrides the command line. Nil: the command line
	// decides.
	FullRefresh *bool `json:"full_refresh_setting,omitempty"`
	// Strategy is the incremental_strategy, BatchSize the batch_size, and SchemaChange the on_schema_change setting, if
	// set. HasUniqueKey reports whether there is a unique_key.
	Strategy     string `json:"strategy,omitempty"`
	BatchSize    string `json:"batch,omitempty"`
	SchemaChange string `json:"schema_change,omitempty"`
	HasUniqueKey bool   `json:"has_unique_key,omitempty"`
	// Begin is the event time at which a microbatch model begins, and Lookback how many batches before the newest one a
	// run builds again.
	Begin    string `json:"begin,omitempty"`
	Lookback int    `json:"lookback,omitempty"`
	// Contract reports whether the model's contract is enforced.
	Contract bool `json:"contract,omitempty"`
	// Columns are the names of the columns that the project documents, which are all of them if there is a contract.
	Columns []string `json:"columns,omitempty"`
	// Relation is the table or view that the model builds.
	Relation Relation `json:"relation"`
	// Parents are the relations and files that the model reads, itself or through ephemeral models.
	Parents []Parent `json:"parents,omitempty"`
	// Hooks are the model's own statements before and after, as templates that are not rendered.
	Hooks Hooks `json:"hooks"`
}

// isIn reports whether the model is in a package or folder of that name. Such a name is also a selector for the model.
func (m Model) isIn(name string) bool {
	return strings.Contains(m.UniqueID, "."+name+".") || slices.Contains(strings.Split(filepath.ToSlash(m.Path),
		"/"), name)
}

// Relation names a table or view. Database is empty if the adapter has only one.
type Relation struct {
	Database   string `json:"database,omitempty"`
	Schema     string `json:"schema"`
	Identifier string `json:"identifier"`
}

// String returns the relation's name as written in SQL.
func (r Relation) String() string {
	parts := []string{r.Schema, r.Identifier}
	if r.Database != "" {
		parts = append([]string{r.Database}, parts...)
	}
	return strings.Join(parts, ".")
}

// Parent is a relation or file that a model reads.
type Parent struct {
	UniqueID string   `json:"unique_id"`
	Name     string   `json:"name"`
	Relation Relation `json:"relation"`
	// Deferred is what the model reads instead if Relation does not exist. It is set if the run defers to a state
	// folder that has this parent.
	Deferred *Relation `json:"deferred,omitempty"`
	// Virtual reports that no catalog contains it: an ephemeral model, or a file outside of the database.
	Virtual bool `json:"virtual,omitempty"`
}

// Hooks are the statements that run before and after a model is built.
type Hooks struct {
	Pre  []string `json:"pre-hook,omitempty"`
	Post []string `json:"post-hook,omitempty"`
}

// List asks dbt what s selects. It changes neither the project nor the warehouse. Answers are kept in Config.WorkDir as
// long as the project's files, the profiles, the environment, and dbt stay the same. Errors: ErrUnknownModel if a
// selector matches nothing, ErrNoMatch if the selection contains no model to run, and ErrUnknownVar for an unknown
// variable.
func (c *CLI) List(ctx context.Context, s Selection) (Listing, error) { return c.list(ctx, s, nil) }

// list is List with the installed packages, or with the packages of after if it is not nil.
func (c *CLI) list(ctx context.Context, s Selection, after *Resolved) (Listing, error) {
	l, err := c.listCached(ctx, s, after)
	if err == nil {
		l.Programs, err = c.programs(ctx, l.Identity["adapter"])
	}
	return l, err
}

func (c *CLI) listCached(ctx context.Context, s Selection, after *Resolved) (Listing, error) {
	if err := s.Validate(); err != nil {
		return Listing{}, err
	}
	if err := c.refuseSecrets(s.Vars); err != nil {
		return Listing{}, err
	}
	p, err := c.project()
	if err == nil && after != nil {
		p, err = p.after(*after)
	}
	if err != nil {
		return Listing{}, err
	}
	if err := c.checkInstalled(); err != nil {
		return Listing{}, err
	}
	if err := c.checkDotEnv(p); err != nil {
		return Listing{}, err
	}
	if err := p.checkState(s); err != nil {
		return Listing{}, err
	}
	began := c.clk.Now()
	state, err := c.sharedFingerprint(ctx, p, s)
	if err != nil {
		return Listing{}, err
	}
	logging.Debug(ctx, logging.DBT, "project hashed", "ms", c.clk.Now().Sub(began).Milliseconds())
	key, err := questionKey(state, s)
	if err != nil {
		return Listing{}, err
	}
	dir, err := c.workDir("list")
	if err != nil {
		return Listing{}, err
	}
	cached := filepath.Join(dir, key+".json")
	if listing, ok := readCached[Listing](ctx, c, cached); ok {
		return listing, nil
	}
	defer c.useEntry(ctx, cached)
	return once(ctx, &c.flight, key, func() (Listing, error) {
		listing, parse, err := c.answer(ctx, p, s, state)
		if err != nil {
			return listing, err
		}
		if unchanged, err := c.unchanged(ctx, p, s, parsedState{parse, state}); err != nil || !unchanged {
			return listing, err
		}
		c.writeCached(ctx, cached, listing)
		return listing, nil
	})
}

// answer asks dbt through its programmatic interface, or through its command line if there is no other way. parse is
// the parse that the answer is from, see reviewed.Parse.
func (c *CLI) answer(ctx context.Context, p project, s Selection, state string) (l Listing, parse int, err error) {
	if p.Resolved != nil {
		if p.Copy, err = c.installedCopy(ctx, p); err != nil {
			return l, 0, err
		}
		p.Packages = []string{p.Copy}
	}
	files, err := c.files(p)
	if err != nil {
		return l, 0, err
	}
	warnings, err := checkVars(p, files, s.Vars)
	if err != nil {
		return l, 0, err
	}
	_, err = c.python()
	switch {
	case err == nil:
		l, parse, err = c.review(ctx, p, s, state)
	case errors.Is(err, ErrNoInterface):
		l, err = c.listByCommand(ctx, p, s)
	}
	l.Warnings = append(l.Warnings, warnings...)
	return l, parse, err
}

func (c *CLI) unreadable(err error) error {
	return &problem.Problem{
		What: "Can't read dbt's answer",
		Why:  c.secrets.String(err.Error()),
		Next: "Run `dbt ls` in the project. dbt Core " + testedVersions + " are known to work.",
		Err:  errors.Join(ErrUnhandled, errors.New(c.secrets.String(err.Error()))),
	}
}
