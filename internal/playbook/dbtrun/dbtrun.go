// Package dbtrun is the playbook rerun_dbt: it runs dbt models again.
package dbtrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// ActionType is the playbook's name in the history.
const ActionType = "rerun_dbt"

// DBT is what the playbook needs from dbt.
type DBT interface {
	// Name names the project and target that runs change.
	Name(ctx context.Context) (string, error)
	// RunCommand returns the arguments of the command that runs a selection.
	RunCommand(s dbt.Selection) []string
	// List returns what a selection would run, and what is downstream. It changes nothing.
	List(ctx context.Context, s dbt.Selection) (dbt.Listing, error)
	// ListAfter is List with packages that are not installed yet.
	ListAfter(ctx context.Context, s dbt.Selection, packages dbt.Resolved) (dbt.Listing, error)
	// Catalog returns what the warehouse knows about the relations in a selection's listing.
	Catalog(ctx context.Context, s dbt.Selection, l dbt.Listing) (dbt.Catalog, error)
	// StartReviewed runs exactly what was reviewed, with its artifacts in dir.
	StartReviewed(ctx context.Context, r dbt.Reviewed, dir string) (*dbt.Run, error)
	// Attach finds the command that StartReviewed started before the process that called it died.
	Attach(ctx context.Context, dir, id string) (*dbt.Run, error)
}

// New returns the playbook.
func New(cli DBT, estimates playbook.Estimates) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		return action{dbt: cli, estimates: estimates, params: p, selection: p.selection()}
	})
}

// Describe returns the playbook without its target.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Validate: params.validate}
}

// page is the playbook's page in the catalogue.
func page() playbook.Metadata {
	e := playbook.DefaultEstimates()
	return playbook.Metadata{
		ActionType: ActionType,
		Summary:    "builds dbt models again, optionally with what is upstream of them or as a full refresh",
		Use:        []string{"stale data", "a transient dbt failure", "quality that dropped after a missed run"},
		Approval:   "needed for a full refresh",
		Duration:   fmt.Sprintf("%.0f s a model", e.DBTSecondsPerModel),
		Cost:       fmt.Sprintf("USD %.2f a model", e.DBTCostPerModelUSD),
		Undo:       "none",
	}
}

type action struct {
	dbt       DBT
	estimates playbook.Estimates
	params    params
	// selection is what runs: that of the inputs, or what is left of an execution that is retried.
	selection dbt.Selection
	// packages are those that an earlier step will install. Nil: the installed ones are used.
	packages *dbt.Resolved
}

// Target implements playbook.Logic.
func (a action) Target(ctx context.Context) (string, error) { return a.dbt.Name(ctx) }

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	retry, err := a.retry(ctx)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	listing, err := a.list(ctx, retry)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	facts := factsOf(listing)
	if retry != nil {
		facts.Retry, facts.RetriedExecution = retry, &retry.Execution
	}
	count := len(listing.Models)
	now, err := a.look(ctx, listing)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	effects := now.effects()
	p := playbook.Preview{
		Summary:         summary(facts),
		Commands:        []string{dbt.Line(a.dbt.RunCommand(a.selection))},
		NotDone:         now.notDone(),
		Count:           count,
		Keeps:           true, // building models changes no code
		Affected:        append([]string{"dbt"}, facts.Exposures...),
		ApprovalReasons: a.approvalReasons(effects),
		Undo:            page().Undo,
		Where:           where(listing, a.selection.Threads),
		Identity:        listing.Identity,
		OtherNames:      otherNames(listing.Identity),
		Content:         listing.Content,
		Programs:        listing.Programs,
		Warnings:        slices.Concat(listing.Warnings, now.locked(), now.missingUpstream()),
		Figures:         now.figures(),
	}
	p.Risk, p.RiskReason = risk(effects)
	p.Changes = []string{"Will re-run " + models(count)}
	if retry != nil {
		p.Changes = append(p.Changes, retry.lines(dbt.Line(a.dbt.RunCommand(retry.Arguments)))...)
	}
	p.Changes = append(append(p.Changes, a.changes(listing, effects, facts)...), now.deferred()...)
	if err := a.estimate(ctx, listing, &p); err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	return p, facts, nil
}

// PreviewAfter implements playbook.Follower: it lists with the packages that an earlier step will install.
func (a action) PreviewAfter(ctx context.Context, projection json.RawMessage) (playbook.Preview, Facts, error) {
	var packages dbt.Resolved
	if err := json.Unmarshal(projection, &packages); err != nil {
		return playbook.Preview{}, Facts{}, fmt.Errorf("%w: %w", playbook.ErrNotProjected, err)
	}
	a.packages = &packages
	p, facts, err := a.Preview(ctx)
	if errors.Is(err, dbt.ErrNoCopy) {
		err = errors.Join(playbook.ErrNotProjected, err)
	}
	return p, facts, err
}

// listing lists what a selection runs.
func (a action) listing(ctx context.Context, s dbt.Selection) (dbt.Listing, error) {
	if a.packages != nil {
		return a.dbt.ListAfter(ctx, s, *a.packages)
	}
	return a.dbt.List(ctx, s)
}

// list lists what runs. For a retry, it first sets the selection to the models that are left to run.
func (a *action) list(ctx context.Context, retry *Retry) (dbt.Listing, error) {
	if retry == nil {
		return a.listing(ctx, a.selection)
	}
	listing := dbt.Listing{}
	for _, qualified := range []bool{false, true} {
		a.selection = retry.selection(a.params.selection().Threads, qualified)
		var err error
		if listing, err = a.listing(ctx, a.selection); err != nil {
			return listing, err
		}
		if slices.Equal(listing.IDs(), retry.models()) {
			return listing, nil
		}
	}
	return listing, nothingToRetry(fmt.Sprintf("Execution %d left %s to do, but the project now has %s for them.",
		retry.Execution, some(retry.models()), some(listing.IDs())))
}

func summary(f Facts) string {
	return fmt.Sprintf("Will re-run %s: %s", models(f.SelectedModelCount), some(f.names()))
}

// approvalReasons say why the run needs an approval: full_refresh is set, regardless of its effect, or the project's
// own configuration rebuilds a table from scratch.
func (a action) approvalReasons(effects []effect) []string {
	rebuilt := named(effects, func(e effect) bool { return e.rebuilds })
	switch {
	case a.selection.FullRefresh && len(rebuilt) > 0:
		return []string{"full_refresh rebuilds " + some(rebuilt) + " from scratch"}
	case a.selection.FullRefresh:
		return []string{"full_refresh is set"}
	case len(rebuilt) > 0:
		return []string{some(rebuilt) + " is configured for a full refresh in the dbt project"}
	default:
		return nil
	}
}

// changes describe the effect on each relation, the hooks that run, and what depends on the models.
func (a action) changes(l dbt.Listing, effects []effect, facts Facts) []string {
	lines := effectLines(effects)
	if a.selection.Upstream {
		lines = append(lines, "Includes the models upstream of the selected ones. Seeds and snapshots are not run")
	}
	return append(append(lines, hookLines(l)...), facts.radius())
}

// look reads what exists in the warehouse. If that is not possible, the figures say so.
func (a action) look(ctx context.Context, l dbt.Listing) (situation, error) {
	catalog, err := a.dbt.Catalog(ctx, a.selection, l)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return situation{}, cause
	}
	if err != nil {
		first, _, _ := strings.Cut(problem.Of(err, "").Why, "\n")
		catalog = dbt.Catalog{State: dbt.CatalogUnreadable, Why: first}
	}
	return situation{selection: a.selection, listing: l, catalog: catalog, now: catalog.At}, nil
}

// Dispatch implements playbook.Logic.
func (a action) Dispatch(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	if facts.Retry != nil {
		if _, err := a.list(ctx, facts.Retry); err != nil {
			return nil, err
		}
	}
	reviewed, err := a.reviewed(job.Preview)
	if err != nil {
		return nil, err
	}
	reviewed.Execution = job.Name
	run, err := a.dbt.StartReviewed(ctx, reviewed, job.Dir)
	if err != nil {
		return nil, err
	}
	return work{run: run}, nil
}

// reviewed returns what the preview allows to run.
func (a action) reviewed(p playbook.Preview) (dbt.Reviewed, error) {
	content, err := json.Marshal(p.Content)
	if err != nil {
		return dbt.Reviewed{}, fmt.Errorf("encode the content of the preview: %w", err)
	}
	identity, err := json.Marshal(p.Identity)
	if err != nil {
		return dbt.Reviewed{}, fmt.Errorf("encode the identity of the preview: %w", err)
	}
	return dbt.Reviewed{Selection: a.selection, Content: content, Identity: identity, Programs: p.Programs}, nil
}

// Adopt implements playbook.Logic.
func (a action) Adopt(ctx context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	run, err := a.dbt.Attach(ctx, job.Dir, job.RemoteID)
	if err != nil {
		return nil, playbook.NeverBegan(err, dbt.ErrNeverStarted)
	}
	return work{run: run}, nil
}

type work struct{ run *dbt.Run }

// RemoteID implements playbook.Work.
func (w work) RemoteID() string { return w.run.ID() }

// Wait implements playbook.Work.
func (w work) Wait(ctx context.Context) (playbook.Report, error) {
	result, err := w.run.Wait(ctx)
	out := outcome(result)
	if errors.As(err, new(*problem.Problem)) {
		out.Message = "" // the error says what was done
	}
	return out, err
}

// outcome describes the result of each model.
func outcome(result dbt.Result) playbook.Report {
	details := map[string]string{}
	for _, n := range append(result.Hooks, result.Nodes...) {
		details[n.UniqueID] = ending(n)
	}
	return playbook.Report{
		Message: fmt.Sprintf("Ran %s", models(len(result.Nodes))),
		LogsURL: playbook.FileURL(result.LogPath),
		Details: details,
	}
}

// ending formats the result of a model, such as "success in 2.1 s, 100 rows". Causes of failures are in the message of
// the execution, and in the log.
func ending(n dbt.NodeResult) string {
	line := fmt.Sprintf("%s in %.1f s", n.Status, n.Seconds)
	if n.Rows != nil && *n.Rows >= 0 {
		line += ", " + text.Count(*n.Rows, "row")
	}
	return line
}

// Routine reports whether a detail of a result is about a model or hook that succeeded. Terraform state leaves such
// details out, and the journal keeps them.
func Routine(name, text string) bool {
	return (strings.HasPrefix(name, "model.") || strings.HasPrefix(name, "operation.")) && statusOf(text) == "success"
}

func models(n int) string { return text.Count(int64(n), "dbt model") }
