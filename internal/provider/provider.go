// Package provider implements the provider block: its schema, defaults, environment variables, and the wiring of the
// packages below it. It makes no decisions about executions.
package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/applylens/terraform-provider-remediation/internal/datasources/history"
	"github.com/applylens/terraform-provider-remediation/internal/datasources/incident"
	"github.com/applylens/terraform-provider-remediation/internal/datasources/playbooks"
	"github.com/applylens/terraform-provider-remediation/internal/datasources/preview"
	reportsource "github.com/applylens/terraform-provider-remediation/internal/datasources/report"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/resources/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/resources/canarysplit"
	"github.com/applylens/terraform-provider-remediation/internal/resources/dbtdeps"
	"github.com/applylens/terraform-provider-remediation/internal/resources/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/resources/incidentresolution"
	"github.com/applylens/terraform-provider-remediation/internal/resources/metricgate"
	"github.com/applylens/terraform-provider-remediation/internal/resources/plannerdeploy"
	"github.com/applylens/terraform-provider-remediation/internal/resources/plannerrollback"
	"github.com/applylens/terraform-provider-remediation/internal/resources/synonymsrefresh"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

type remediation struct {
	options Options
	engines *engines
	// incidents is the client of the incident service, once the provider is configured.
	incidents *incidents.Client
}

// New returns the constructor of the provider, for tests that serve it themselves. See also Serve.
func New(version string) func() provider.Provider { return With(Options{Version: version}) }

// With is New with more options.
func With(o Options) func() provider.Provider {
	return newProvider(o, &engines{planned: engine.NewPlanned()})
}

func newProvider(o Options, configured *engines) func() provider.Provider {
	return func() provider.Provider { return &remediation{options: o, engines: configured} }
}

// Metadata implements provider.Provider.
func (p *remediation) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "remediation", p.options.Version
}

// Schema implements provider.Provider.
func (p *remediation) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = blockSchema()
}

// Resources implements provider.Provider.
func (p *remediation) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		dbtrun.New(), dbtdeps.New(), cacheclear.New(), synonymsrefresh.New(),
		canarysplit.New(), plannerrollback.New(), plannerdeploy.New(), metricgate.New(), incidentresolution.New(),
	}
}

// DataSources implements provider.Provider.
func (p *remediation) DataSources(context.Context) []func() datasource.DataSource {
	service := func() incident.Service { return p.incidents }
	return []func() datasource.DataSource{history.New(), playbooks.New(), preview.New(), incident.New(service),
		reportsource.New()}
}

// Configure implements provider.Provider.
func (p *remediation) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	runtime := &tfkit.Runtime{Quiet: p.options.quiet}
	resp.ResourceData, resp.DataSourceData = runtime, runtime
	if !req.Config.Raw.IsFullyKnown() {
		return // without a known configuration, previews are unknown
	}
	var b block
	resp.Diagnostics.Append(req.Config.Get(ctx, &b)...)
	if resp.Diagnostics.HasError() {
		return
	}
	r, err := theRunner(ctx)
	if err != nil {
		report(&resp.Diagnostics, err)
		return
	}
	b, ignored, err := b.restrict(r)
	if err != nil {
		report(&resp.Diagnostics, err)
		return
	}
	settings, err := b.settings(ctx, r)
	if err != nil {
		report(&resp.Diagnostics, err)
		return
	}
	if note := r.note(ignored); note != "" {
		resp.Diagnostics.AddWarning("The runner's policy doesn't restrict everything", note)
	}
	settings.redact = b.redactor(settings)
	p.incidents = incidents.New(settings.incidents)
	w := wire(settings, p.engines.planned, p.options)
	runtime.Engine, runtime.HistoryLimit = w.engine, settings.historyLimit
	runtime.ForgeDecides = settings.forge != nil
	runtime.Redact = settings.redact
	p.engines.add(w)
}

func report(diags *diag.Diagnostics, err error) {
	p := problem.Of(err, "Invalid provider configuration")
	if len(p.Path) == 0 {
		diags.AddError(p.What, p.Detail())
		return
	}
	// Terraform shows the block, not the attribute within it.
	diags.AddAttributeError(tfkit.AttributePath(p.Path), p.What,
		p.Detail()+"\n\nProvider setting: "+problem.Where(p.Path))
}

func problemAt(where, what, why, next string) error {
	return problemIn(strings.Split(where, "."), what, why, next)
}

// problemIn is problemAt for a path with map keys, which may contain dots.
func problemIn(where []string, what, why, next string) error {
	return &problem.Problem{What: what, Why: why, Next: next, Path: where, Err: fmt.Errorf("%s", problem.Where(where))}
}
