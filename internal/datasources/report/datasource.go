// Package report is the data source remediation_report.
package report

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/report"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

const (
	// defaultLimit and maxLimit bound the executions, because the state contains the whole page.
	defaultLimit = 200
	maxLimit     = 10_000
	// markdownBytes bounds the Markdown: forges accept comments of about this size.
	markdownBytes = 60_000
)

// New returns the data source's constructor.
func New() func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "report", Schema: description(), Read: read})
}

func description() schema.Schema {
	filter := func(description string, more ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description,
			Validators: append([]validator.String{tfkit.Line()}, more...)}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	return schema.Schema{
		MarkdownDescription: "The history of executions as a report: a timeline, durations against estimates, the " +
			"split of the traffic over time, guardrail readings, and approvals. The command `journal report` writes " +
			"the same page without Terraform.",
		Attributes: map[string]schema.Attribute{
			"incident_id": filter("Only executions of this incident."),
			"action_type": filter("Only executions of this playbook, such as `rerun_dbt`."),
			"target":      filter("Only executions on this target, as `preview.target` names it."),
			"since":       filter("Only executions that began at this time or later, RFC 3339.", tfkit.Moment()),
			"until":       filter("Only executions that began before this time, RFC 3339.", tfkit.Moment()),
			"limit": schema.NumberAttribute{Optional: true,
				MarkdownDescription: "Number of executions, the newest ones. Default: 200. The state contains the " +
					"page.",
				Validators: []validator.Number{tfkit.Whole(1, maxLimit)}},
			"markdown": text("The report as Markdown, at most 60,000 bytes."),
			"html":     text("The report as one self-contained HTML page that loads nothing."),
		},
	}
}

func read(ctx context.Context, runtime *tfkit.Runtime, config tfkit.Values) (map[string]any, error) {
	filter := journal.Filter{Incident: config.Text("incident_id"), Playbook: config.Text("action_type"),
		Target: config.Text("target"), Limit: defaultLimit}
	for name, into := range map[string]*time.Time{"since": &filter.Since, "until": &filter.Until} {
		if text := config.Text(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return nil, err // the schema has checked it
			}
			*into = t
		}
	}
	if err := config.Get("limit", &filter.Limit); err != nil {
		return nil, err
	}
	store, err := runtime.Engine.Journal(ctx)
	if err != nil {
		return nil, err
	}
	records, err := store.Find(ctx, filter)
	if err != nil {
		return nil, err
	}
	r, err := report.Collect(ctx, store, records)
	if err != nil {
		return nil, err
	}
	return map[string]any{"markdown": r.Markdown(markdownBytes), "html": r.HTML()}, nil
}
