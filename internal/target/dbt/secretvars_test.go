package dbt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// TestVarsThatLookLikeSecrets checks which names are refused, and where.
func TestVarsThatLookLikeSecrets(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{
		"password": true, "db_password": true, "DB_PASSWORD": true, "dbPassword": true, "api_key": true, "apiKey": true,
		"apikey": true, "slack.token": true, "client_secret": true, "aws_access_key": true, "credentials": true,
		"token_count": false, "password_policy": false, "monkey": false, "primary_key": false, "key": false,
		"days": false, "stoken": false, "secretary": false,
	} {
		if err := CheckVars(map[string]any{name: "x"}); (err != nil) != refused {
			t.Errorf("%s: %v", name, err)
		}
		if err := CheckVars(map[string]any{name: 3}); err != nil {
			t.Errorf("%s, a number: %v", name, err)
		}
	}
	var p *problem.Problem
	err := CheckVars(map[string]any{"a": map[string]any{"b": []any{map[string]any{"token": "x"}}}})
	if !errors.As(err, &p) || problem.Where(p.Path) != `vars["a"]["b"][0]["token"]` {
		t.Errorf("got %v", err)
	}
}

// TestVarsWithASecretOfTheEnvironment refuses a variable whose value is a secret, whatever its name, and doesn't repeat
// it.
func TestVarsWithASecretOfTheEnvironment(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-value"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dbt_project.yml"), []byte("name: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := New(Config{ProjectDir: dir, WorkDir: t.TempDir(), Environment: map[string]string{
		"DBT_ENV_CUSTOM_ENV_PASS": secret}}, clock.System{})
	vars := map[string]any{"days": "3", "note": "see " + secret}
	_, err := c.List(t.Context(), Selection{Models: []string{"a"}, Vars: vars})
	if err == nil || !strings.Contains(err.Error(), "note contains a secret") || strings.Contains(err.Error(), secret) {
		t.Errorf("list: %v", err)
	}
	if _, err := c.PreviewDeps(t.Context(), Deps{Vars: vars}); err == nil ||
		!strings.Contains(err.Error(), "note contains a secret") {
		t.Errorf("deps: %v", err)
	}
}
