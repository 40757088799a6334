package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/metrics"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

type prometheusBlock struct {
	URL   types.String `tfsdk:"url"`
	Token types.String `tfsdk:"token"`
}

func prometheusSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Prometheus, or a system with the same query API, for guardrails.",
		Attributes: map[string]schema.Attribute{
			"url":   optionalString("Address, such as `http://prometheus:9090`. Environment: `PROMETHEUS_URL`."),
			"token": secret("Bearer token. Environment: `PROMETHEUS_TOKEN`."),
		},
	}
}

// secret is an optional sensitive string.
func secret(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: description,
		Validators: []validator.String{tfkit.SecretLine()}}
}

// prometheusSettings are the settings of Prometheus. An empty url means that none is configured.
type prometheusSettings struct{ url, token string }

func (b block) prometheus(r runner) (prometheusSettings, error) {
	var p prometheusBlock
	if b.Prometheus != nil {
		p = *b.Prometheus
	}
	if first(p.URL, "PROMETHEUS_URL", "") == "" {
		if b.Prometheus == nil {
			return prometheusSettings{}, nil
		}
		return prometheusSettings{}, problemAt("prometheus.url", "Prometheus has no address",
			"prometheus is configured without url, and PROMETHEUS_URL is not set.", "Set prometheus.url.")
	}
	var s prometheusSettings
	var err error
	s.url, s.token, err = r.service(service{"prometheus", p.URL, p.Token, "PROMETHEUS_URL", "PROMETHEUS_TOKEN"})
	return s, err
}

// checkURL refuses an address that is not a web address, or that is never opened.
func checkURL(where, address string) error {
	if why := check.WebBase(address); why != "" {
		return problemAt(where, "Invalid web address", "The value can't be used: "+why+".",
			"Write it like https://host:port, and put credentials in their own attributes.")
	}
	if err := access.Hosts(nil).Check(address); err != nil {
		return problemAt(where, "This address is never opened", err.Error()+".",
			"Use the address of the service itself.")
	}
	return nil
}

// checkToken refuses a token that can't be sent in a header. The error does not repeat it. An empty token is valid: it
// means that no token is set.
func checkToken(where, token string) error {
	if why := check.OneLine(token); token != "" && why != "" {
		return problemAt(where, "The token can't be sent", "It is not shown, and "+why+".",
			"Look at the attribute and at its environment variable. A file's content may end with a line break: use "+
				"trimspace().")
	}
	return nil
}

// newMetrics returns the reader for the guardrails' metrics.
func newMetrics(s settings, cluster *elastic.Cluster, clk clock.Clock) *metrics.Reader {
	sources := metrics.Sources{Clock: clk, Hosts: s.runner.hosts}
	if s.prometheus.url != "" {
		sources.Prometheus = prometheus.New(s.prometheus.url, s.prometheus.token)
	}
	if s.elastic.Configured() {
		sources.Search = func(ctx context.Context, index, body string) (tookMS, hits int64, err error) {
			found, err := cluster.Measure(ctx, index, body)
			return found.TookMS, found.Hits, err
		}
	}
	return metrics.New(sources)
}
