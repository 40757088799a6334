package dbtrun

import (
	"slices"
	"testing"
)

// TestOtherNamesDontDependOnTheProfile checks that rules can name a warehouse as no author of a project can rename it.
func TestOtherNamesDontDependOnTheProfile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		identity map[string]string
		want     []string
	}{
		{map[string]string{"adapter": "duckdb", "path": "/srv/shop.duckdb", "database": "shop", "schema": "main"},
			[]string{"dbt:duckdb:/srv/shop.duckdb", "dbt:duckdb:/srv/shop.duckdb/main"}},
		{map[string]string{"adapter": "postgres", "host": "db.example.com", "port": "5432", "database": "shop",
			"schema": "public", "unique_field": "db.example.com"},
			[]string{"dbt:postgres:db.example.com:5432/shop", "dbt:postgres:db.example.com:5432/shop/public"}},
		// PostgreSQL's client tries a list of hosts.
		{map[string]string{"adapter": "postgres", "host": "a.example.com,db.example.com", "port": "1", "database": "x"},
			[]string{"dbt:postgres:a.example.com,db.example.com:1/x", "dbt:postgres:a.example.com:1/x",
				"dbt:postgres:db.example.com:1/x"}},
		{map[string]string{"adapter": "snowflake", "account": "xy12", "database": "SHOP"},
			[]string{"dbt:snowflake:xy12/SHOP"}},
		{map[string]string{"project": "/srv/shop"}, nil},
	} {
		if got := otherNames(tt.identity); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.identity, got, tt.want)
		}
	}
}
