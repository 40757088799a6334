// Package dbtrun is the playbook rerun_dbt: it builds dbt models again.
package dbtrun

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// ActionType is the playbook's name in the history.
const ActionType = "rerun_dbt"

// DBT is what the playbook needs of dbt.
type DBT interface {
	// Name names the project and target that runs change.
	Name(ctx context.Context) (string, error)
	// RunCommand is the command line that runs a selection, argument by argument.
	RunCommand(s dbt.Selection) []string
	// List names what a selection would run, and what is downstream of it. It changes nothing.
	List(ctx context.Context, s dbt.Selection) (dbt.Listing, error)
	// StartReviewed runs exactly what was reviewed, with its artifacts in dir.
	StartReviewed(ctx context.Context, r dbt.Reviewed, dir string) (*dbt.Run, error)
	// Attach finds what Start started in a process that died.
	Attach(ctx context.Context, dir, id string) (*dbt.Run, error)
}

// New returns the playbook.
func New(cli DBT, estimates playbook.Estimates) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		return action{dbt: cli, estimates: estimates, selection: p.selection()}
	})
}

// Describe returns the playbook without its target.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Defaults: params{Threads: DefaultThreads},
		Validate: params.validate}
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
	selection dbt.Selection
}

// Target implements playbook.Logic.
func (a action) Target(ctx context.Context) (string, error) { return a.dbt.Name(ctx) }

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	listing, err := a.dbt.List(ctx, a.selection)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	facts := factsOf(listing)
	full := a.fullRefresh(listing)
	count := len(listing.Models)
	p := playbook.Preview{
		Summary: fmt.Sprintf("Will re-run %s: %s", text.Count(int64(count), "dbt model"),
			strings.Join(facts.SelectedModels, ", ")),
		Commands:        []string{dbt.Line(a.dbt.RunCommand(a.selection))},
		Duration:        playbook.Seconds(float64(count) * a.estimates.DBTSecondsPerModel),
		CostUSD:         playbook.Cents(float64(count) * a.estimates.DBTCostPerModelUSD),
		Risk:            playbook.RiskLow,
		Count:           count,
		Affected:        append([]string{"dbt"}, facts.Exposures...),
		ApprovalReasons: full,
		Undo:            page().Undo,
		Where:           where(listing),
		Identity:        listing.Identity,
		Content:         listing.Content,
		Warnings:        listing.Warnings,
	}
	p.Changes = append([]string{p.Summary}, a.changes(full, facts)...)
	if len(full) > 0 {
		p.Risk = playbook.RiskHigh
	}
	return p, facts, nil
}

// fullRefresh gives the reasons for which the run rebuilds tables from scratch: none for an incremental run.
func (a action) fullRefresh(listing dbt.Listing) []string {
	if a.selection.FullRefresh {
		return []string{fmt.Sprintf("full_refresh rebuilds %s from scratch",
			text.Count(int64(len(listing.Models)), "dbt model"))}
	}
	var reasons []string
	for _, name := range listing.AlwaysFullRefresh() {
		reasons = append(reasons, fmt.Sprintf("%s is configured for a full refresh in the dbt project", name))
	}
	return reasons
}

func (a action) changes(full []string, facts Facts) []string {
	var out []string
	switch {
	case a.selection.FullRefresh:
		out = append(out, "Full refresh: tables are dropped and rebuilt from all their sources")
	case len(full) > 0:
		out = append(out, "Incremental, but for models that the project configures for a full refresh")
	default:
		out = append(out, "Incremental only: no full refresh")
	}
	if a.selection.Upstream {
		out = append(out, "Includes everything upstream of the selected models")
	}
	return append(out, facts.radius())
}

// Dispatch implements playbook.Logic.
func (a action) Dispatch(ctx context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	reviewed, err := a.reviewed(job.Preview)
	if err != nil {
		return nil, err
	}
	run, err := a.dbt.StartReviewed(ctx, reviewed, job.Dir)
	if err != nil {
		return nil, err
	}
	return work{run: run}, nil
}

// reviewed is what the preview allows to run.
func (a action) reviewed(p playbook.Preview) (dbt.Reviewed, error) {
	content, err := json.Marshal(p.Content)
	if err != nil {
		return dbt.Reviewed{}, fmt.Errorf("encode the content of the preview: %w", err)
	}
	identity, err := json.Marshal(p.Identity)
	if err != nil {
		return dbt.Reviewed{}, fmt.Errorf("encode the identity of the preview: %w", err)
	}
	return dbt.Reviewed{Selection: a.selection, Content: content, Identity: identity}, nil
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
	return outcome(result), err
}

// outcome says what became of each model.
func outcome(result dbt.Result) playbook.Report {
	details := map[string]string{}
	counts := map[string]int{}
	for _, n := range append(result.Hooks, result.Nodes...) {
		details[n.UniqueID] = told(n)
	}
	for _, n := range result.Nodes {
		counts[n.Status]++
	}
	details["models"] = strconv.Itoa(len(result.Nodes))
	for status, n := range counts {
		details["models_"+strings.ReplaceAll(status, " ", "_")] = strconv.Itoa(n)
	}
	return playbook.Report{
		Message: fmt.Sprintf("Ran %s", models(len(result.Nodes))),
		LogsURL: playbook.FileURL(result.LogPath),
		Details: details,
	}
}

// told is "success in 2.1 s, 100 rows", with what was said where it was no success.
func told(n dbt.NodeResult) string {
	told := fmt.Sprintf("%s in %.1f s", n.Status, n.Seconds)
	if n.Rows != nil && *n.Rows >= 0 {
		told += ", " + text.Count(*n.Rows, "row")
	}
	if n.Message != "" && n.Status != "success" {
		told += ": " + n.Message
	}
	return told
}

func models(n int) string { return text.Count(int64(n), "dbt model") }
