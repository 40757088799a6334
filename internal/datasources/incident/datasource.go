// Package incident is the data source remediation_incident: an incident from the incident service, with the journal's
// records about it.
package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// maxExecutions is how many executions in the journal are returned, the newest ones.
const maxExecutions = 100

// Service is what the data source needs from the incident service.
type Service interface {
	Incident(ctx context.Context, id string) (incidents.Incident, error)
	Actions(ctx context.Context, id string) ([]incidents.Action, error)
	History(ctx context.Context, id string) ([]incidents.Past, error)
}

// New returns the data source's constructor. service is called at each read, when the provider is configured.
func New(service func() Service) func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "incident", Schema: description(), Warnings: "problems",
		Read: func(ctx context.Context, runtime *tfkit.Runtime, config tfkit.Values) (map[string]any, error) {
			return read(ctx, runtime, service(), config.Text("incident_id"))
		}})
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func description() schema.Schema {
	boolean := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
	}
	list := func(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
		return schema.ListNestedAttribute{Computed: true, MarkdownDescription: description,
			NestedObject: schema.NestedAttributeObject{Attributes: attributes}}
	}
	return schema.Schema{
		MarkdownDescription: "An incident of the incident service (the provider's `incidents` block), the actions " +
			"that the service offers for it, and the service's history, beside the executions in the journal. It " +
			"only reads. What the service can't answer is null, and `problems` says why, so a service that is down " +
			"does not stop a plan.",
		Attributes: map[string]schema.Attribute{
			"incident_id": schema.StringAttribute{Required: true, MarkdownDescription: "Incident, as the service " +
				"writes its identifier.", Validators: []validator.String{tfkit.Label()}},
			"status": text("`open`, `acknowledged`, `mitigated`, `resolved`, or `closed`. Null if the incident could not " +
				"be read."),
			"severity":         text("Severity, such as `sev1`."),
			"summary":          text("Summary."),
			"created_at":       text("When it began, as the service writes it."),
			"metadata":         text("Metadata, as JSON."),
			"resolution_notes": text("Notes of the resolution that the service keeps."),
			"actions": list("Actions that the service offers. The playbook of that name does the same with a dry "+
				"run, an approval, and a journal.", map[string]schema.Attribute{
				"action_type": text("Playbook."), "display_name": text("Name for people."),
				"description": text("What it does."), "params": text("Suggested inputs, as JSON."),
				"requires_approval": boolean("Whether the service would require an approval."),
			}),
			"service_history": list("What the service itself ran for the incident.", map[string]schema.Attribute{
				"id": text("Identifier in the service."), "action_type": text("Playbook."),
				"params": text("Inputs, as JSON."), "dry_run": boolean("Whether it was a dry run."),
				"status": text("How it ended."), "approved_by": text("Who approved it."),
				"created_at": text("When it began."), "result": text("Result, as JSON."),
			}),
			"executions": list(fmt.Sprintf("Executions for the incident in the journal, oldest first, the newest %d.",
				maxExecutions), map[string]schema.Attribute{
				"id": text("Identifier in the journal."), "action_type": text("Playbook."),
				"target": text("What it changed."), "params": text("Inputs, as JSON."),
				"status": text("How it ended."), "approved_by": text("Who approved it."),
				"created_at": text("When it began, RFC 3339."), "message": text("What happened, in one sentence."),
				"actual_duration_seconds": schema.Float64Attribute{Computed: true,
					MarkdownDescription: "How long it took, in seconds."},
			}),
			"problems": schema.ListAttribute{Computed: true, ElementType: types.StringType,
				MarkdownDescription: "What could not be read, and why. Empty if everything could be read. Each is " +
					"also a warning."},
		},
	}
}

// found collects the values that could be read, and the problems with those that could not.
type found struct {
	values   map[string]any
	problems []string
}

// failed adds a problem if something could not be read. It returns the error if the configuration is wrong or the run
// was canceled.
func (f *found) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, incidents.ErrNotFound), errors.Is(err, incidents.ErrID),
		errors.Is(err, incidents.ErrNotConfigured), errors.Is(err, context.Canceled):
		return err
	}
	p := problem.Of(err, "The incident service does not answer")
	f.problems = append(f.problems, fmt.Sprintf("%s could not be read. %s. %s", what, p.What, p.Why))
	return nil
}

func read(ctx context.Context, runtime *tfkit.Runtime, service Service, id string) (map[string]any, error) {
	if why := incidents.CheckID(id); why != "" {
		return nil, &problem.Problem{What: "Invalid incident_id", Why: "The identifier " + why + ".",
			Next: "Write it as the service does.", Path: []string{"incident_id"}}
	}
	f := &found{values: map[string]any{}, problems: []string{}}
	i, err := service.Incident(ctx, id)
	if err := f.failed("The incident", err); err != nil {
		return nil, err
	}
	if err == nil {
		for name, v := range map[string]string{"status": string(i.Status), "severity": i.Severity, "summary": i.Summary,
			"created_at": i.CreatedAt, "metadata": string(i.Metadata), "resolution_notes": i.ResolutionNotes()} {
			f.values[name] = optional(v)
		}
		if err := f.service(ctx, service, id); err != nil {
			return nil, err
		}
	}
	store, err := runtime.Engine.Journal(ctx)
	if err != nil {
		return nil, err
	}
	all, err := store.Find(ctx, journal.Filter{Incident: id, Limit: maxExecutions})
	if err != nil {
		return nil, err
	}
	executions := make([]any, len(all))
	for i, rec := range all {
		executions[i] = execution(rec)
	}
	f.values["executions"], f.values["problems"] = executions, f.problems
	return f.values, nil
}

// service reads the available actions and the history from the incident service.
func (f *found) service(ctx context.Context, service Service, id string) error {
	actions, err := service.Actions(ctx, id)
	if err := f.failed("The available actions", err); err != nil {
		return err
	}
	if err == nil {
		all := make([]any, len(actions))
		for i, a := range actions {
			all[i] = map[string]any{"action_type": a.ActionType, "display_name": optional(a.DisplayName),
				"description": optional(a.Description), "params": raw(a.Params),
				"requires_approval": a.RequiresApproval}
		}
		f.values["actions"] = all
	}
	past, err := service.History(ctx, id)
	if err := f.failed("The service's history", err); err != nil {
		return err
	}
	if err == nil {
		all := make([]any, len(past))
		for i, p := range past {
			all[i] = map[string]any{"id": p.Number(), "action_type": p.ActionType, "params": raw(p.Params),
				"dry_run": p.DryRun, "status": p.Status, "approved_by": optional(p.ApprovedBy),
				"created_at": optional(p.CreatedAt), "result": raw(p.Result)}
		}
		f.values["service_history"] = all
	}
	return nil
}

func execution(rec journal.Record) map[string]any {
	one := map[string]any{"id": rec.Ref(), "action_type": rec.Subject.Playbook, "target": rec.Subject.Target,
		"params": string(rec.Intent.Params), "status": rec.Status, "approved_by": optional(rec.Intent.ApprovedBy),
		"created_at": tfkit.Stamp(rec.CreatedAt)}
	if rec.Result != nil {
		one["message"], one["actual_duration_seconds"] = optional(rec.Result.Message), rec.Result.ActualDuration
	}
	return one
}

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func raw(v json.RawMessage) any {
	if len(v) == 0 || string(v) == "null" {
		return nil
	}
	return string(v)
}
