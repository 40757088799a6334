package provider

import (
	"fmt"
	"net/url"
	"os"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// leastMasked is the length of the shortest value in dbt's environment that logs mask. Masking a shorter one, such as
// "prod", would make the logs unreadable.
const leastMasked = 6

// redactor returns a function that masks every credential in the provider block and in the environment variables for
// it.
func (b block) redactor(s settings) func(string) string {
	secrets := []string{s.prometheus.token, os.Getenv(plannerToken), s.elastic.Password, s.elastic.APIKey,
		s.elastic.BearerToken, s.elastic.ESClientAuthentication, s.incidents.Token}
	if s.forge != nil {
		secrets = append(secrets, s.forge.Token)
	}
	if p := b.Planner; p != nil {
		if p.HTTP != nil {
			secrets = append(secrets, p.HTTP.Token.ValueString())
		}
		if p.Applylens != nil {
			secrets = append(secrets, p.Applylens.Token.ValueString())
		}
	}
	for _, value := range s.elastic.Headers {
		secrets = append(secrets, value)
	}
	for _, value := range s.dbt.Environment {
		if len(value) >= leastMasked {
			secrets = append(secrets, value)
		}
	}
	for _, address := range append([]string{s.prometheus.url}, s.elastic.Endpoints...) {
		if u, err := url.Parse(address); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				secrets = append(secrets, password)
			}
		}
	}
	configured := redact.New(append(secrets, notifySecrets(s.webhooks)...)...)
	cluster := s.elastic.Secrets()
	return func(text string) string { return cluster.String(configured.String(text)) }
}

// fingerprint identifies the configuration without its secrets: the journal, the approval policy, and the systems that
// the provider controls.
func (s settings) fingerprint() string {
	print, err := approval.Hash(map[string]any{
		"journal": s.journal.dir, "terms": s.policy.Terms(),
		"dbt":           []string{s.dbt.ProjectDir, s.dbt.ProfilesDir, s.dbt.Target},
		"elasticsearch": s.elastic.Endpoints, "prometheus": s.prometheus.url, "planner": fmt.Sprintf("%T", s.planner),
		"incidents": s.incidents.URL,
	})
	if err != nil {
		return "" // strings, numbers and lists always encode
	}
	const digits = 16
	return print[:digits]
}
