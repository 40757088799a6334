package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

func TestExecutables(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"dbt", "other"} {
		if err := os.WriteFile(at(name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"to-dbt": "dbt", "to-other": "other"} {
		if err := os.Symlink(at(to), at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		list    access.Executables
		program string
		allowed bool
	}{
		"no list":              {nil, at("other"), true},
		"an empty list":        {access.Executables{}, at("dbt"), false},
		"listed":               {access.Executables{at("dbt")}, at("dbt"), true},
		"link to a listed one": {access.Executables{at("dbt")}, at("to-dbt"), true},
		"listed by a link":     {access.Executables{at("to-dbt")}, at("dbt"), true},
		"another":              {access.Executables{at("dbt")}, at("other"), false},
		"link to another":      {access.Executables{at("dbt")}, at("to-other"), false},
		"missing":              {access.Executables{at("missing")}, at("missing"), false},
	} {
		if err := tt.list.Check(tt.program); (err == nil) != tt.allowed || (err != nil && !errors.Is(err,
			access.ErrRefused)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, ok := access.CheckExecutables([]string{"/bin/a", "dbt"}); ok {
		t.Error("a relative path is accepted")
	}
}
