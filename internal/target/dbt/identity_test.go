package dbt

import (
	"maps"
	"path/filepath"
	"testing"
)

// TestIdentityOfOneHost writes one host in several ways. The identity must be the same: a lease excludes by it.
func TestIdentityOfOneHost(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	cfg.ProfilesDir = t.TempDir()
	identity := func(host string) map[string]string {
		t.Helper()
		write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"), "shop:\n  target: dev\n  outputs:\n    dev: "+
			"{type: postgres, host: \""+host+"\", port: 5432, user: u, password: p, dbname: d, schema: main}\n")
		l, err := cli(t, cfg).List(t.Context(), Selection{Models: []string{"triage_daily"}})
		if err != nil {
			t.Fatal(err)
		}
		return l.Identity
	}
	for host, others := range map[string][]string{
		"db.example.com": {"DB.example.com."}, "localhost": {"127.0.0.1", "[::1]"},
	} {
		want := identity(host)
		for _, other := range others {
			if got := identity(other); !maps.Equal(got, want) {
				t.Errorf("%s: %v, and %s: %v", host, want, other, got)
			}
		}
	}
}
