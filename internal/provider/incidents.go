package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/gate"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/resolution"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

// Environment variables for the incident service.
const (
	incidentsURL   = "REMEDIATION_INCIDENTS_URL"
	incidentsToken = "REMEDIATION_INCIDENTS_TOKEN" //nolint:gosec // the variable's name, not a token
)

type incidentsBlock struct {
	URL   types.String `tfsdk:"url"`
	Token types.String `tfsdk:"token"`
}

func incidentsSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "The incident service, for `remediation_incident_resolution` and the data source " +
			"`remediation_incident`. No other resource needs it.",
		Attributes: map[string]schema.Attribute{
			"url": optionalString("Base URL of the API, such as `https://incidents.example.com/api`; `/incidents` and " +
				"`/playbooks` are below it. Environment: `REMEDIATION_INCIDENTS_URL`."),
			"token": secret("Bearer token. Environment: `REMEDIATION_INCIDENTS_TOKEN`."),
		},
	}
}

// incidents returns the settings of the incident service. An empty URL means that none is configured.
func (b block) incidents(r runner) (incidents.Config, error) {
	var in incidentsBlock
	if b.Incidents != nil {
		in = *b.Incidents
	}
	if first(in.URL, incidentsURL, "") == "" {
		if b.Incidents == nil {
			return incidents.Config{}, nil
		}
		return incidents.Config{}, problemAt("incidents.url", "The incident service has no address",
			"incidents is configured without url, and REMEDIATION_INCIDENTS_URL is not set.", "Set incidents.url.")
	}
	var cfg incidents.Config
	var err error
	cfg.URL, cfg.Token, err = r.service(service{"incidents", in.URL, in.Token, incidentsURL, incidentsToken})
	return cfg, err
}

// executedFor lists the executions for an incident that have ended.
func executedFor(ctx context.Context, e *engine.Engine, incident string) ([]resolution.Execution, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return nil, err
	}
	found, err := store.Find(ctx, journal.Filter{Incident: incident})
	if err != nil {
		return nil, err
	}
	var all []resolution.Execution
	for _, rec := range found {
		if rec.Result == nil {
			continue
		}
		x := resolution.Execution{
			ActionType: rec.Subject.Playbook, Params: rec.Intent.Params, Ended: string(rec.Status),
			Message: rec.Result.Message, Seconds: rec.Result.ActualDuration,
			Check:  rec.Subject.Playbook == gate.ActionType,
			Passed: rec.Status == journal.StatusSuccess && rec.Result.Details["verdict"] == gate.Passed,
		}
		if x.Check { // its verdict is in Passed
			_, x.Message, _ = strings.Cut(x.Message, ": ")
		}
		all = append(all, x)
	}
	return all, nil
}
