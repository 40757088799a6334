package dbt

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var (
	matrixEdits = flag.Int("digest.edits", 6, "random edits of each kind: those that must move the content, and those "+
		"that must not")
	matrixSeed = flag.Uint64("digest.seed", 7, "what decides the edits")
)

// matrixEdit writes a file of the project.
type matrixEdit struct{ name, text string }

// matrixProject is a project in which a table depends on everything that can change what dbt sends: configuration, an
// ephemeral model, macros through macros, a dispatched macro, hooks, variables, and properties.
func matrixProject() map[string]string {
	return map[string]string{
		"dbt_project.yml": "name: shop\nversion: \"1.0.0\"\nprofile: shop\nvars: {days: 7, unused: 1}\n",
		"models/uses.sql": "{{ config(materialized='incremental', unique_key='id', post_hook=\"{{ hook() }}\") }}\n" +
			"select {{ called() }} as id, {{ var('days') }} as days, '{{ env_var('SHOP_LABEL', 'x') }}' as label\n" +
			"from {{ ref('short') }}",
		"models/short.sql":  "{{ config(materialized='ephemeral') }} select 1 as one",
		"models/uses.yml":   "models:\n  - name: uses\n    config: {alias: uses_one}\n",
		"models/far.sql":    "select 1 as one",
		"macros/called.sql": "{% macro called() %}{{ deeper() }}{% endmacro %}",
		"macros/deeper.sql": "{% macro deeper() %}{{ return(adapter.dispatch('shape')()) }}{% endmacro %}",
		"macros/shape.sql":  "{% macro default__shape() %}1{% endmacro %}",
		"macros/hook.sql":   "{% macro hook() %}select 1{% endmacro %}",
		"macros/far.sql":    "{% macro far() %}1{% endmacro %}",
		"seeds/codes.csv":   "code,label\n1,a\n",
		"tests/far.sql":     "select 1 where false",
	}
}

// moving returns a random edit after which dbt sends something else for the model, or to another relation.
func moving(r *rand.Rand) matrixEdit {
	p, n := matrixProject(), 2+r.IntN(1_000_000)
	model := func(config string) matrixEdit {
		return matrixEdit{"models/uses.sql", fmt.Sprintf("{{ config(%s) }}\nselect {{ called() }} as id from "+
			"{{ ref('short') }}", config)}
	}
	all := []matrixEdit{
		{"models/uses.sql", p["models/uses.sql"] + fmt.Sprintf(" where 1 < %d", n)},
		{"models/uses.sql", fmt.Sprintf("select %d as id from {{ ref('short') }}", n)},
		model(fmt.Sprintf("materialized='table', alias='a%d'", n)),
		model(fmt.Sprintf("materialized='table', schema='s%d'", n)),
		model(fmt.Sprintf("materialized='incremental', unique_key='k%d'", n)),
		model(fmt.Sprintf("materialized='table', pre_hook='select %d'", n)),
		model(fmt.Sprintf("materialized='view', enabled=true, meta={'external_location': 'f%d.csv'}", n)),
		{"models/short.sql", fmt.Sprintf("{{ config(materialized='ephemeral') }} select %d as one", n)},
		{"models/uses.yml", fmt.Sprintf("models:\n  - name: uses\n    config: {alias: uses_%d}\n", n)},
		{"models/uses.yml", fmt.Sprintf("models:\n  - name: uses\n    config: {post-hook: 'select %d'}\n", n)},
		{"macros/called.sql", fmt.Sprintf("{%% macro called() %%}{{ deeper() }} + %d{%% endmacro %%}", n)},
		{"macros/deeper.sql", fmt.Sprintf("{%% macro deeper() %%}%d{%% endmacro %%}", n)},
		{"macros/shape.sql", fmt.Sprintf("{%% macro default__shape() %%}%d{%% endmacro %%}", n)},
		{"macros/shape_of_duckdb.sql", fmt.Sprintf("{%% macro duckdb__shape() %%}%d{%% endmacro %%}", n)},
		{"macros/hook.sql", fmt.Sprintf("{%% macro hook() %%}select %d{%% endmacro %%}", n)},
		{"macros/schema.sql", fmt.Sprintf("{%% macro generate_schema_name(name, node) %%}s%d{%% endmacro %%}", n)},
		{"macros/alias.sql", fmt.Sprintf("{%% macro generate_alias_name(custom_alias_name=none, node=none) %%}a%d_"+
			"{{ node.name }}{%% endmacro %%}", n)},
		{"macros/table.sql", fmt.Sprintf("{%% macro duckdb__create_table_as(t, r, s, l='sql') %%}select %d"+
			"{%% endmacro %%}", n)},
		{"dbt_project.yml", p["dbt_project.yml"] + fmt.Sprintf("on-run-start: ['select %d']\n", n)},
		{"dbt_project.yml", p["dbt_project.yml"] + fmt.Sprintf("on-run-end: ['select %d']\n", n)},
		{"dbt_project.yml", p["dbt_project.yml"] + fmt.Sprintf("models: {shop: {+schema: s%d}}\n", n)},
		{"dbt_project.yml", fmt.Sprintf("name: shop\nversion: \"1.0.0\"\nprofile: shop\nvars: {days: %d, unused: 1}\n",
			n+7)},
		{"dbt_project.yml", p["dbt_project.yml"] + fmt.Sprintf("query-comment: 'c%d'\n", n)},
	}
	return all[r.IntN(len(all))]
}

// idle returns a random edit of something else: another model, macro, test, text, seed, or folder.
func idle(r *rand.Rand) matrixEdit {
	n := r.IntN(1_000_000)
	all := []matrixEdit{
		{"models/far.sql", fmt.Sprintf("select %d as one", n)},
		{fmt.Sprintf("models/new%d/other.sql", n), "select 1 as one"},
		{"models/far.yml", fmt.Sprintf("models:\n  - name: far\n    description: Text %d\n", n)},
		{"models/far.yml", fmt.Sprintf("models:\n  - name: far\n    config: {alias: far_%d}\n", n)},
		{"models/uses.yml", fmt.Sprintf("models:\n  - name: uses\n    description: Text %d\n    config: {alias: "+
			"uses_one}\n", n)},
		{"models/uses.yml", fmt.Sprintf("# %d\nmodels:\n  - name: uses\n    config: {alias: uses_one}\n", n)},
		{"macros/far.sql", fmt.Sprintf("{%% macro far() %%}%d{%% endmacro %%}", n)},
		{fmt.Sprintf("macros/far%d.sql", n), fmt.Sprintf("{%% macro far%d() %%}1{%% endmacro %%}", n)},
		{"seeds/codes.csv", fmt.Sprintf("code,label\n%d,a\n", n)},
		{"tests/far.sql", fmt.Sprintf("select %d where false", n)},
		{fmt.Sprintf("notes/%d.md", n), "A note."},
		{"README.md", fmt.Sprintf("Text %d", n)},
		{"models/docs.md", fmt.Sprintf("{%% docs a%d %%}Text{%% enddocs %%}", n)},
		{"snapshots/far.sql", fmt.Sprintf("{%% snapshot far_snapshot %%}{{ config(unique_key='one', strategy='check', "+
			"check_cols='all', target_schema='s') }} select %d as one{%% endsnapshot %%}", n)},
		{"models/exposures.yml", fmt.Sprintf("exposures:\n  - {name: board%d, type: dashboard, owner: {name: a}}\n",
			n)},
	}
	return all[r.IntN(len(all))]
}

// TestRandomEditsAndTheDigest edits a project at random. An edit that changes what dbt sends moves the content, and one
// of something else does not; what is not in the digest can't be approved with it.
func TestRandomEditsAndTheDigest(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	at := func(name string) string { return filepath.Join(cfg.ProjectDir, filepath.FromSlash(name)) }
	for _, folder := range []string{"models", "seeds", "data"} {
		if err := os.RemoveAll(at(folder)); err != nil {
			t.Fatal(err)
		}
	}
	original := matrixProject()
	for name, text := range original {
		write(t, at(name), text)
	}
	c := cli(t, cfg)
	content := func() string {
		t.Helper()
		l, err := c.List(t.Context(), Selection{Models: []string{"uses"}})
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer // an answer from the cache has no blanks
		if err := json.Compact(&compact, l.Content); err != nil {
			t.Fatal(err)
		}
		return compact.String()
	}
	before := content()
	wrong := map[bool]int{}
	for n := range 2 * *matrixEdits {
		r := rand.New(rand.NewPCG(*matrixSeed, uint64(n))) //nolint:gosec // a repeatable test
		moves := n%2 == 0
		edit := idle(r)
		if moves {
			edit = moving(r)
		}
		write(t, at(edit.name), edit.text)
		if now := content(); (now != before) != moves {
			wrong[moves]++
			t.Errorf("edit %d: the content moved: %v, want %v: %s:\n%s", n, now != before, moves, edit.name, edit.text)
		}
		if text, ok := original[edit.name]; ok {
			write(t, at(edit.name), text)
		} else if err := os.Remove(at(edit.name)); err != nil {
			t.Fatal(err)
		}
		if now := content(); now != before {
			t.Fatalf("edit %d: the content differs after %s was taken back", n, edit.name)
		}
	}
	t.Logf("random edits: %d of %d that change what dbt sends kept the digest, and %d of %d others moved it (seed %d)",
		wrong[true], *matrixEdits, wrong[false], *matrixEdits, *matrixSeed)
}
