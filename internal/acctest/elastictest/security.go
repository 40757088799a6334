package elastictest

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// User creates a user on a Secure server with one role, given as the body of a role, and returns its configuration.
func (s *Server) User(tb testing.TB, name string, role any) elastic.Config {
	tb.Helper()
	password := rand.Text()
	s.Do(tb, http.MethodPut, "/_security/role/"+name, role, nil)
	s.Do(tb, http.MethodPut, "/_security/user/"+name, map[string]any{"password": password, "roles": []string{name}},
		nil)
	return elastic.Config{Endpoints: s.Config.Endpoints, Username: name, Password: password}
}

// APIKey creates an API key on a Secure server with one role, given as the body of a role, and returns its
// configuration.
func (s *Server) APIKey(tb testing.TB, name string, role any) elastic.Config {
	tb.Helper()
	var key struct{ Encoded string }
	s.Do(tb, http.MethodPost, "/_security/api_key", map[string]any{"name": name,
		"role_descriptors": map[string]any{name: role}}, &key)
	return elastic.Config{Endpoints: s.Config.Endpoints, APIKey: key.Encoded}
}
