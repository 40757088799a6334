package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/webmetric"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

type prometheusBlock struct {
	URL   types.String `tfsdk:"url"`
	Token types.String `tfsdk:"token"`
}

func prometheusSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Prometheus, or what speaks its query API, for guardrails.",
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

// prometheusSettings are those of the Prometheus; an empty url means none.
type prometheusSettings struct{ url, token string }

func (b block) prometheus() (prometheusSettings, error) {
	var p prometheusBlock
	if b.Prometheus != nil {
		p = *b.Prometheus
	}
	s := prometheusSettings{url: first(p.URL, "PROMETHEUS_URL", ""), token: first(p.Token, "PROMETHEUS_TOKEN", "")}
	if s.url == "" {
		if b.Prometheus != nil {
			return s, problemAt("prometheus.url", "Prometheus has no address",
				"prometheus is configured without url, and PROMETHEUS_URL is not set.",
				"Set prometheus.url.")
		}
		return s, nil
	}
	if err := checkURL("prometheus.url", s.url); err != nil {
		return s, err
	}
	return s, checkToken("prometheus.token", s.token)
}

// checkURL demands an address of a web server.
func checkURL(where, address string) error {
	if why := check.WebBase(address); why != "" {
		return problemAt(where, "Not an address of a web server", "The value can't be used: "+why+".",
			"Write it like https://host:port, and credentials into attributes of their own.")
	}
	return nil
}

// checkToken refuses a token that can't be sent as it is, wherever it comes from. It is not repeated. An empty one is
// none.
func checkToken(where, token string) error {
	if why := check.OneLine(token); token != "" && why != "" {
		return problemAt(where, "The token can't be sent", "It is not shown, and "+why+".",
			"Look at the attribute and at its environment variable. A file's content may end with a line break: use "+
				"trimspace().")
	}
	return nil
}

// metrics reads what guardrails watch. prometheus and cluster are nil where none is configured.
type metrics struct {
	prometheus *prometheus.Client
	web        *webmetric.Client
	cluster    *elastic.Cluster
}

func newMetrics(s settings, cluster *elastic.Cluster, clk clock.Clock) metrics {
	m := metrics{web: webmetric.New(clk)}
	if s.prometheus.url != "" {
		m.prometheus = prometheus.New(s.prometheus.url, s.prometheus.token)
	}
	if s.elastic.Configured() {
		m.cluster = cluster
	}
	return m
}

// Lacks implements guard.Reader.
func (m metrics) Lacks(q guard.Query) string {
	switch {
	case q.Prometheus != "" && m.prometheus == nil:
		return "the provider has no prometheus.url, and PROMETHEUS_URL is not set"
	case q.Search != nil && m.cluster == nil:
		return "the provider has no elasticsearch.endpoints, and ELASTICSEARCH_ENDPOINTS is not set"
	default:
		return ""
	}
}

// Read implements guard.Reader.
func (m metrics) Read(ctx context.Context, q guard.Query) (float64, error) {
	if lack := m.Lacks(q); lack != "" {
		return 0, errors.New(lack)
	}
	switch {
	case q.Prometheus != "":
		return m.prometheus.Query(ctx, q.Prometheus)
	case q.HTTP != nil:
		return m.web.Read(ctx, q.HTTP.URL, q.HTTP.Pointer)
	case q.Search != nil:
		found, err := m.cluster.Measure(ctx, q.Search.Index, q.Search.Body)
		if q.Search.Measure == guard.MeasureHits {
			return float64(found.Hits), err
		}
		return float64(found.TookMS), err
	default:
		return 0, errors.New("the guardrail names no metric")
	}
}
