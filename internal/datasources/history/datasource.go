// Package history is the data source remediation_action_history.
package history

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// Bounds of limit: the state contains everything that a data source returns.
const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// New returns the data source's constructor.
func New() func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "action_history", Schema: description(), Read: read})
}

func description() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "Executions and dry runs from the journal, by incident, playbook, target, or time.",
		Attributes: map[string]schema.Attribute{
			"incident_id": filter("Only those of this incident."),
			"action_type": filter("Only those of this playbook, such as `rerun_dbt`."),
			"target":      filter("Only those on this target, as `preview.target` names it."),
			"since":       filter("Only those that began at this time or later, RFC 3339.", tfkit.Moment()),
			"until":       filter("Only those that began before this time, RFC 3339.", tfkit.Moment()),
			"dry_runs": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "`false` leaves dry runs out. Default: `true`."},
			"limit": schema.NumberAttribute{
				Optional: true, MarkdownDescription: "Number of records to return, the newest ones. Default: 100.",
				Validators: []validator.Number{tfkit.Whole(1, maxLimit)},
			},
			"total": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "Number of matching records, including those beyond `limit`."},
			"chain_holds": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether the journal's hash chain is valid: no entry was edited, removed, or " +
					"moved. Entries removed from the end can be detected only with a `chain_head` that was noted " +
					"earlier."},
			"compacted_entries": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "Number of entries that `journal.keep` has removed so far. Entries in the chain " +
					"list them."},
			"chain_break": text("Where and how the hash chain first breaks, or null."),
			"chain_head": text("Number and hash of the last valid entry of the journal, as `SEQ:HASH`. Note it " +
				"outside the journal."),
			"records": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Oldest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id": schema.Int64Attribute{Computed: true,
						MarkdownDescription: "Identifier in the journal."},
					"action_type": text("Playbook."),
					"target":      text("Target of the execution."),
					"incident_id": text("Incident."),
					"params":      text("Inputs, as JSON."),
					"dry_run": schema.BoolAttribute{Computed: true,
						MarkdownDescription: "Whether it was a dry run."},
					"status":      text("How it ended. For a dry run: `dry_run_success` or `dry_run_failed`."),
					"approved_by": text("Who approved it."),
					"created_at":  text("When it began, RFC 3339."),
					"digest":      text("Digest of the preview."),
					"result": schema.SingleNestedAttribute{
						Computed: true, MarkdownDescription: "Result of the execution. Null for a dry run, and while " +
							"it runs.",
						Attributes: map[string]schema.Attribute{
							"message":     text("What happened, in one sentence."),
							"started_at":  text("When it began, RFC 3339."),
							"finished_at": text("When it ended, RFC 3339."),
							"actual_duration_seconds": schema.Float64Attribute{Computed: true,
								MarkdownDescription: "How long it took, in seconds."},
							"logs_url": text("Where its logs are."),
							"details": schema.MapAttribute{
								Computed: true, ElementType: types.StringType,
								MarkdownDescription: "Measured values and facts, by name.",
							},
						},
					},
				}},
			},
		},
	}
}

// filter returns the attribute for an optional condition. It must not be empty, because that would match everything.
func filter(description string, more ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description,
		Validators: append([]validator.String{tfkit.Line()}, more...)}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func read(ctx context.Context, runtime *tfkit.Runtime, config tfkit.Values) (map[string]any, error) {
	filter := journal.Filter{
		Incident: config.Text("incident_id"), Playbook: config.Text("action_type"), Target: config.Text("target"),
		Limit: defaultLimit, All: true,
	}
	var err error
	if filter.Since, err = moment(config, "since"); err != nil {
		return nil, err
	}
	if filter.Until, err = moment(config, "until"); err != nil {
		return nil, err
	}
	if !filter.Since.IsZero() && !filter.Until.IsZero() && !filter.Since.Before(filter.Until) {
		return nil, &problem.Problem{
			What: "Empty time range", Why: "since is not before until.", Next: "Swap them, or leave one out.",
			Path: []string{"until"},
		}
	}
	if _, ok := runtime.Engine.Catalogue()[filter.Playbook]; filter.Playbook != "" && !ok {
		return nil, &problem.Problem{
			What: "Unknown playbook", Why: filter.Playbook + " is not in the catalogue.",
			Next: "The data source remediation_playbooks lists those that exist.", Path: []string{"action_type"},
		}
	}
	if err := config.Get("dry_runs", &filter.All); err != nil {
		return nil, err
	}
	if err := config.Get("limit", &filter.Limit); err != nil {
		return nil, err
	}
	store, err := runtime.Engine.Journal(ctx)
	if err != nil {
		return nil, err
	}
	found, err := store.Find(ctx, filter)
	if err != nil {
		return nil, err
	}
	total, err := store.Count(ctx, filter)
	records := make([]map[string]any, len(found))
	for i, rec := range found {
		records[i] = record(rec)
	}
	if err != nil {
		return nil, err
	}
	chain, err := journal.Verify(ctx, store)
	var broken *string
	if !chain.Holds() {
		broken = &chain.Broken
	}
	return map[string]any{
		"records": records, "total": total, "chain_holds": chain.Holds(), "chain_break": broken,
		"compacted_entries": chain.Removed,
		"chain_head":        fmt.Sprintf("%d:%s", chain.Head.Seq, chain.Head.Hash),
	}, err
}

func moment(config tfkit.Values, name string) (time.Time, error) {
	s := config.Text(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, &problem.Problem{What: "Invalid time", Why: err.Error() + ".",
			Next: "Write it like 2026-01-31T03:00:00Z.", Path: []string{name}, Err: err}
	}
	return t, nil
}

// record returns the values of a journal record by attribute name.
func record(rec journal.Record) map[string]any {
	optional := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return map[string]any{
		"id": rec.ID, "action_type": rec.Subject.Playbook, "target": rec.Subject.Target,
		"incident_id": optional(rec.Subject.Incident), "params": string(rec.Intent.Params), "dry_run": rec.DryRun,
		"status": rec.Status, "approved_by": optional(rec.Intent.ApprovedBy), "created_at": tfkit.Stamp(rec.CreatedAt),
		"digest": rec.Intent.Digest, "result": tfkit.Result(rec.Result),
	}
}
