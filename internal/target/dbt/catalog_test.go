package dbt

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/postgrestest"
)

func TestCatalogOfPostgreSQL(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	cfg := shop(t)
	cfg.ProfilesDir = filepath.Join(filepath.Dir(cfg.ProjectDir), "profiles")
	write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"), server.Profile("shop", "main"))
	server.Query("create schema main; create schema marts; create table main.inbox_emails as select 1 as id, 2 as " +
		"queue; analyze main.inbox_emails; create view marts.daily as select * from main.inbox_emails; create view " +
		"marts.weekly as select * from marts.daily; create table main.triage_results (id int)")
	c := cli(t, cfg)
	s := Selection{Models: []string{"inbox_emails", "triage_results"}}
	l, err := c.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Catalog(t.Context(), s, l)
	if err != nil || got.State != CatalogRead {
		t.Fatalf("%+v, %v", got, err)
	}
	emails, found := got.Find(Relation{Schema: "main", Identifier: "inbox_emails"})
	if !found || emails.Type != "table" || emails.Rows == nil || *emails.Rows != 1 ||
		strings.Join(emails.Columns, " ") != "id queue" {
		t.Errorf("%+v", emails)
	}
	if len(emails.Dependents) != 2 || emails.Dependents[1] != [2]string{"marts", "weekly"} {
		t.Errorf("what depends on it: %v", emails.Dependents)
	}
	if results, _ := got.Find(Relation{Schema: "main", Identifier: "triage_results"}); results.Rows != nil {
		t.Errorf("a table that was never analyzed has %d rows", *results.Rows)
	}

	// A user without any privilege on the schema still learns what exists, and nothing else goes wrong.
	server.Query("create role guest login")
	write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"),
		strings.ReplaceAll(server.Profile("shop", "main"), "user: dbt", "user: guest"))
	if got, err := cli(t, cfg).Catalog(t.Context(), s, l); err != nil || !got.Known() {
		t.Errorf("%+v, %v", got, err)
	}

	// A user who may not connect is no error either: the text of the plan says so.
	server.Query("revoke connect on database " + server.Database + " from public")
	c.runs.Add(1)
	got, err = cli(t, cfg).Catalog(t.Context(), s, l)
	if err != nil || got.State != CatalogUnreadable || !strings.Contains(got.Why, "permission denied for database") {
		t.Errorf("%+v, %v", got, err)
	}

	// A server that can't be reached is no error: the text of the plan says so.
	write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"),
		strings.ReplaceAll(server.Profile("shop", "main"), "port: "+server.Port, "port: 1"))
	got, err = cli(t, cfg).Catalog(t.Context(), s, l)
	if err != nil || got.State != CatalogUnreadable || !strings.Contains(got.Why, "refused") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestProfileInTheProjectIsNotUsedToConnect covers a plan on a pull request: its profile could send a password
// anywhere.
func TestProfileInTheProjectIsNotUsedToConnect(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	write(t, filepath.Join(cfg.ProjectDir, "profiles.yml"), "shop:\n  target: dev\n  outputs:\n"+
		"    dev: {type: postgres, host: db.example.com, port: 5432, user: u, password: p, dbname: d, schema: main}\n")
	s := Selection{Models: []string{"inbox_emails"}}
	l, err := cli(t, cfg).List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := cli(t, cfg).Catalog(t.Context(), s, l)
	if err != nil || got.State != CatalogNotRead || !strings.Contains(got.Why, "db.example.com") {
		t.Errorf("%+v, %v", got, err)
	}
	asked := ""
	cfg.MayConnect = func(dir, host string) string { asked = dir + " " + host; return "not listed" }
	got, err = cli(t, cfg).Catalog(t.Context(), s, l)
	if want := cfg.ProjectDir + " db.example.com"; err != nil || got.Why != "not listed" || asked != want {
		t.Errorf("%+v, %v, asked %q", got, err, asked)
	}
}

func TestCatalogOfALockedFile(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	c := cli(t, cfg)
	s := Selection{Models: []string{"inbox_emails"}}
	l, err := c.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Catalog(t.Context(), s, l); err != nil || got.State != CatalogMissing || !got.Known() {
		t.Errorf("no file: %+v, %v", got, err)
	}
	nowhere, inMemory := l, l
	nowhere.Path, inMemory.Path = filepath.Join(cfg.WorkDir, "nowhere", "shop.duckdb"), ":memory:"
	if got, err := c.Catalog(t.Context(), s, nowhere); err != nil || got.State != CatalogMissing ||
		got.Why != "its folder does not exist" {
		t.Errorf("no folder: %+v, %v", got, err)
	}
	if got, err := c.Catalog(t.Context(), s, inMemory); err != nil || got.State != CatalogNotRead ||
		!strings.Contains(got.Why, "in memory") {
		t.Errorf("no file at all: %+v, %v", got, err)
	}
	holder := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(dbtPath(t)), "python"), "-c",
		"import duckdb, sys\nc = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()", l.Path)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.runs.Add(1) // the earlier answer would be used for 5 s
	if got, err := c.Catalog(t.Context(), s, l); err != nil || got.State != CatalogLocked || got.Known() {
		t.Errorf("a locked file: %+v, %v", got, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	c.runs.Add(1)
	if got, err := c.Catalog(t.Context(), s, l); err != nil || got.State != CatalogRead {
		t.Errorf("a file that is free again: %+v, %v", got, err)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 14, 30, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		model       Model
		selection   Selection
		incremental bool
		want        int
		first       string
	}{
		"today and yesterday": {Model{BatchSize: "day", Lookback: 1}, Selection{}, true, 2, "2026-03-30T00:00"},
		"no lookback":         {Model{BatchSize: "day"}, Selection{}, true, 1, "2026-03-31T00:00"},
		"hours":               {Model{BatchSize: "hour", Lookback: 3}, Selection{}, true, 4, "2026-03-31T11:00"},
		"from the beginning": {Model{BatchSize: "month", Begin: "2025-12-15"}, Selection{}, false, 4,
			"2025-12-01T00:00"},
		"years": {Model{BatchSize: "year", Begin: "2020-01-01T00:00:00"}, Selection{}, false, 7, "2020-01-01T00:00"},
		"a window": {Model{BatchSize: "day", Begin: "2020-01-01"}, Selection{EventTimeStart: "2026-01-01",
			EventTimeEnd: "2026-01-04T06:00:00"}, false, 4, "2026-01-01T00:00"},
		"no begin": {Model{BatchSize: "day"}, Selection{}, false, 0, "0001-01-01T00:00"},
	} {
		first, _, count := test.model.Batches(test.selection, test.incremental, now)
		if count != test.want || first.Format("2006-01-02T15:04") != test.first {
			t.Errorf("%s: %d batches from %s, want %d from %s", name, count, first, test.want, test.first)
		}
	}
}
