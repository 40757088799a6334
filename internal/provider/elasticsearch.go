package provider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// endpointsVariable names the environment variable with the cluster's addresses.
const endpointsVariable = "ELASTICSEARCH_ENDPOINTS"

type elasticsearchBlock struct {
	Endpoints              []string          `tfsdk:"endpoints"`
	Username               types.String      `tfsdk:"username"`
	Password               types.String      `tfsdk:"password"`
	APIKey                 types.String      `tfsdk:"api_key"`
	BearerToken            types.String      `tfsdk:"bearer_token"`
	ESClientAuthentication types.String      `tfsdk:"es_client_authentication"`
	CAFile                 types.String      `tfsdk:"ca_file"`
	CAData                 types.String      `tfsdk:"ca_data"`
	CertFile               types.String      `tfsdk:"cert_file"`
	CertData               types.String      `tfsdk:"cert_data"`
	KeyFile                types.String      `tfsdk:"key_file"`
	KeyData                types.String      `tfsdk:"key_data"`
	Insecure               types.Bool        `tfsdk:"insecure"`
	Headers                map[string]string `tfsdk:"headers"`
}

func elasticsearchSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "The Elasticsearch cluster. Names and environment variables are the same as in " +
			"the Elastic Stack provider.",
		Attributes: map[string]schema.Attribute{
			"endpoints": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues()},
				MarkdownDescription: "URLs of the nodes, or of a proxy in front of them. Environment: " +
					"`ELASTICSEARCH_ENDPOINTS`, separated by commas.",
			},
			"username":     optionalString("User name. Environment: `ELASTICSEARCH_USERNAME`."),
			"password":     secret("Password. Environment: `ELASTICSEARCH_PASSWORD`."),
			"api_key":      secret("Encoded API key. Environment: `ELASTICSEARCH_API_KEY`."),
			"bearer_token": secret("Bearer token. Environment: `ELASTICSEARCH_BEARER_TOKEN`."),
			"es_client_authentication": secret("Shared secret of a JWT realm. Environment: " +
				"`ELASTICSEARCH_ES_CLIENT_AUTHENTICATION`."),
			"ca_file": optionalString("Certificate authority to trust, a PEM file. Environment: " +
				"`ELASTICSEARCH_CA_FILE`."),
			"ca_data":   optionalText("Certificate authority to trust, as PEM text."),
			"cert_file": optionalString("Client certificate, a PEM file."),
			"cert_data": optionalText("Client certificate, as PEM text."),
			"key_file":  optionalString("Key of the client certificate, a PEM file."),
			"key_data":  secretText("Key of the client certificate, as PEM text."),
			"insecure": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Accept any server certificate. Environment: " +
					"`ELASTICSEARCH_INSECURE`.",
			},
			"headers": schema.MapAttribute{
				Optional: true, Sensitive: true, ElementType: types.StringType,
				MarkdownDescription: "Headers sent with every request.",
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
		},
	}
}

// secretText is an optional sensitive string that may have several lines.
func secretText(description string) schema.StringAttribute {
	s := optionalText(description)
	s.Sensitive = true
	return s
}

// elasticsearch returns the cluster's settings. Without endpoints, no cluster is configured.
func (b block) elasticsearch(r runner) (elastic.Config, error) {
	var e elasticsearchBlock
	if b.Elasticsearch != nil {
		e = *b.Elasticsearch
	}
	cfg := elastic.Config{
		Endpoints: e.Endpoints, Username: e.Username.ValueString(), Password: e.Password.ValueString(),
		APIKey:      e.APIKey.ValueString(),
		BearerToken: e.BearerToken.ValueString(), ESClientAuthentication: e.ESClientAuthentication.ValueString(),
		CAFile: e.CAFile.ValueString(), CAData: e.CAData.ValueString(), CertFile: e.CertFile.ValueString(),
		CertData: e.CertData.ValueString(),
		KeyFile:  e.KeyFile.ValueString(), KeyData: e.KeyData.ValueString(), Insecure: e.Insecure.ValueBool(),
		Headers: e.Headers,
	}
	own := cfg
	cfg = cfg.WithEnvironment(r.getenv)
	var taken []string // environment variables from which credentials are taken
	for variable, from := range map[string][2]string{
		"ELASTICSEARCH_API_KEY":                  {own.APIKey, cfg.APIKey},
		"ELASTICSEARCH_BEARER_TOKEN":             {own.BearerToken, cfg.BearerToken},
		"ELASTICSEARCH_PASSWORD":                 {own.Password, cfg.Password},
		"ELASTICSEARCH_ES_CLIENT_AUTHENTICATION": {own.ESClientAuthentication, cfg.ESClientAuthentication},
	} {
		if from[0] != from[1] {
			taken = append(taken, variable)
		}
	}
	if err := cfg.Check(); err != nil {
		return elastic.Config{}, err
	}
	if b.Elasticsearch != nil && !cfg.Configured() {
		return elastic.Config{}, problemAt("elasticsearch.endpoints", "Elasticsearch has no address",
			"elasticsearch is configured without endpoints, and ELASTICSEARCH_ENDPOINTS is "+
				"not set.", "Set elasticsearch.endpoints.")
	}
	if len(taken) > 0 {
		if err := r.protects(e); err != nil {
			return elastic.Config{}, err
		}
	}
	for i, endpoint := range cfg.Endpoints {
		if err := r.open(fmt.Sprintf("elasticsearch.endpoints.%d", i), endpoint); err != nil {
			return elastic.Config{}, err
		}
	}
	for i, endpoint := range e.Endpoints {
		to := destination{fmt.Sprintf("elasticsearch.endpoints.%d", i), endpoint, endpointsVariable}
		if err := r.entrust(to, taken...); err != nil {
			return elastic.Config{}, err
		}
		if r.journal != nil && r.journal.Elasticsearch != nil && !r.trusts(to) {
			return elastic.Config{}, problemAt(to.where, "The configuration can't move the runner's journal",
				"The runner's policy keeps the journal in Elasticsearch, and "+hostOf(endpoint)+" is named in the "+
					"configuration.", "Nothing has run. Leave endpoints out, so that "+endpointsVariable+" names the "+
					"cluster, or have the host added to hosts in "+r.path+".")
		}
	}
	return cfg, nil
}

// protects refuses settings of the configuration that decide who can read or use a credential from the environment:
// which server certificates count, and headers by which a proxy selects another cluster or the cluster another user.
func (r runner) protects(e elasticsearchBlock) error {
	const caVariable, insecureVariable = "ELASTICSEARCH_CA_FILE", "ELASTICSEARCH_INSECURE"
	insecure, err := strconv.ParseBool(r.getenv(insecureVariable))
	insecure = err == nil && insecure
	refuse := func(where, next string) error {
		return problemAt("elasticsearch."+where,
			"The configuration decides how a credential of the environment is used",
			"The credential comes from the environment of the runner, and "+where+" is set in the configuration, "+
				"which the author of a change can edit.", "Nothing has run. "+next)
	}
	switch {
	case insecure:
	case e.Insecure.ValueBool():
		return refuse("insecure", "Set "+insecureVariable+" in the environment of the runner instead.")
	case e.CAData.ValueString() != "":
		return refuse("ca_data", "Set "+caVariable+" in the environment of the runner instead.")
	case e.CAFile.ValueString() != "" && e.CAFile.ValueString() != r.getenv(caVariable):
		return refuse("ca_file", "Set "+caVariable+" in the environment of the runner instead.")
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		for _, routing := range []string{"es-security-runas-user", "x-found-cluster", "x-found-handling-cluster",
			"host", "x-forwarded-host", "forwarded"} {
			if strings.EqualFold(name, routing) {
				return refuse("headers", "Remove the header "+name+", or configure a credential for it.")
			}
		}
	}
	return nil
}
