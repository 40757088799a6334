package dbt

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// TestContentFollowsWhatIsHidden edits what models read in ways that their text doesn't show: computed names, other
// names of functions, and the properties of a node. Each model must get another checksum, and a plain one must keep its
// own.
func TestContentFollowsWhatIsHidden(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	file := func(name string) string { return filepath.Join(cfg.ProjectDir, filepath.FromSlash(name)) }
	models := map[string]string{
		"plain":            `select 1 as one, 'description of a model' as two`,
		"description":      `select '{{ model.description }}' as d`,
		"column":           `{{ config(post_hook="select '{{ model.columns.d.description }}'") }} select 1 as d`,
		"tags":             `select '{{ config.get("tags") | join }}' as d`,
		"computed_key":     `{% set key = 'ta' ~ 'gs' %} select '{{ config.get(key) | join }}' as d`,
		"joined_variable":  `select '{{ env_var("SHOP_" ~ "JOINED", "x") }}' as d`,
		"escaped_variable": `select '{{ env_var("SHOP_\x45SCAPED", "x") }}' as d`,
		"other_function":   `{% set read = env_var %} select '{{ read("SHOP_OTHER", "x") }}' as d`,
		"metadata":         `select '{{ dbt_metadata_envs["META"] }}' as d`,
		"batches": `{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at',
  begin='2026-01-01', batch_size='year') }} select * from {{ ref('events') }}`,
		"events": `select now() as at`,
	}
	for name, text := range map[string]string{ // parsing skips these
		"joined_dispatch":   `{{ adapter.dispatch('hid' ~ 'den')() }}`,
		"other_dispatch":    `{% set d = adapter.dispatch %}{{ d('hid' ~ 'den')() }}`,
		"adapter_renamed":   `{% set a = adapter %}{{ a.dispatch('hid' ~ 'den')() }}`,
		"package_subscript": `{% set f = shop['hid' ~ 'den'] %}{{ f() }}`,
		"package_get":       `{{ shop.get('hid' ~ 'den')() }}`,
		"package_renamed":   `{% set s = shop %}{{ s.get('hid' ~ 'den')() }}`,
		"rendered":          `{{ render("{{ hid" ~ "den() }}") }}`,
		"unicode":           `{{ größe() }}`,
		"manifest":          `{{ ref.manifest.macros['macro.shop.hid' ~ 'den'].macro_sql }}`,
		"computed_graph":    `{{ context['gr' ~ 'aph'].nodes.values() | list }}`,
		"sources":           `{% for s in graph.sources.values() %}{{ s.description }}{% endfor %}`,
	} {
		models[name] = "{% if execute %}" + text + "{% endif %} select 1 as d"
	}
	if v, _ := cli(t, cfg).installedVersion(); v.before(microbatchVersion) {
		delete(models, "batches") // this dbt has no microbatch models
	}
	yml := func(word string) string {
		return `sources: [{name: raw, schema: main, tables: [{name: raw_table, description: ` + word + `}]}]
models:
  - {name: description, description: ` + word + `}
  - {name: column, columns: [{name: d, description: ` + word + `}]}
  - {name: tags, config: {tags: [` + word + `]}}
  - {name: computed_key, config: {tags: [` + word + `]}}
  - {name: events, config: {event_time: ` + word + `}}
  - {name: other, description: ` + word + `}
`
	}
	for name, text := range models {
		write(t, file("models/hidden/"+name+".sql"), text)
	}
	macros := func(n string) string {
		return "{% macro hidden() %}" + n + "{% endmacro %}{% macro default__hidden() %}" + n + "{% endmacro %}" +
			"{% macro größe() %}" + n + "{% endmacro %}"
	}
	write(t, file("models/hidden/other.sql"), "select 1 as one")
	checksums := func(word string) map[string]string {
		t.Helper()
		write(t, file("models/hidden.yml"), yml(word))
		write(t, file("macros/hidden.sql"), macros(word))
		cfg.Environment = map[string]string{"DBT_ENV_CUSTOM_ENV_META": word}
		for _, name := range []string{"JOINED", "ESCAPED", "OTHER"} {
			cfg.Environment["SHOP_"+name] = word
		}
		l, err := cli(t, cfg).List(t.Context(), Selection{Models: slices.Sorted(maps.Keys(models))})
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Nodes map[string]string }
		if err := json.Unmarshal(l.Content, &content); err != nil {
			t.Fatal(err)
		}
		return content.Nodes
	}
	before, after := checksums("first"), checksums("second")
	// The same project, parsed from nothing and in the run, has the same content.
	s := Selection{Models: slices.Sorted(maps.Keys(models))}
	l, err := cli(t, cfg).List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	cfg.WorkDir = t.TempDir()
	run, err := cli(t, cfg).StartReviewed(t.Context(), Reviewed{Selection: s, Content: l.Content,
		Identity: must(json.Marshal(l.Identity))}, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	// Some of these models are no valid SQL. It is enough that dbt has run them.
	if result, err := run.Wait(t.Context()); len(result.Nodes) < len(models) {
		t.Errorf("dbt ran %d models: %v", len(result.Nodes), err)
	}
	for name := range models {
		id := "model.shop." + name
		if before[id] == "" {
			t.Errorf("%s: no checksum", name)
		} else if moves := name != "plain"; (before[id] != after[id]) != moves {
			t.Errorf("%s: the content moved: %v, want %v", name, before[id] != after[id], moves)
		}
	}
}
