package dbtrun

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/postgrestest"
)

type postgres struct{ server *postgrestest.Server }

func (p postgres) profile() string { return p.server.Profile("verbs", "main") }

func (p postgres) query(sql string) string { return p.server.Query(sql) }

// duckDB is a DuckDB file, queried through dbt's own Python.
type duckDB struct {
	t    *testing.T
	path string
}

func newDuckDB(t *testing.T) duckDB {
	return duckDB{t: t, path: filepath.Join(t.TempDir(), "verbs.duckdb")}
}

func (d duckDB) profile() string {
	return "verbs:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: '" + d.path + "', threads: 2}\n"
}

func (d duckDB) query(sql string) string {
	d.t.Helper()
	const program = `import duckdb, sys
print("\n".join("|".join(map(str, row)) for row in duckdb.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))`
	python := filepath.Join(filepath.Dir(acctest.DBT(d.t)), "python")
	out, err := exec.CommandContext(context.WithoutCancel(d.t.Context()), python, "-c", program, d.path,
		sql).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}
