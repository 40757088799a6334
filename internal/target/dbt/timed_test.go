package dbt

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestModelsThatConfigureThemselvesByTimeAreTold lists models whose configuration differs in every parse, and one whose
// SQL alone contains the time.
func TestModelsThatConfigureThemselvesByTimeAreTold(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	for name, text := range map[string]string{
		"models/stamped.sql": "{{ config(alias='a' ~ run_started_at.strftime('%H%M%S%f')) }} select 1 as one",
		"models/run.sql":     "{{ config(\n  materialized='table',\n  alias='a' ~ invocation_id[:8]\n) }} select 1 as one",
		"models/dated.sql":   "select 1 as one",
		"models/dated.yml": "models:\n  - name: dated\n    config: {alias: \"d{{ modules.datetime.datetime.now()" +
			".strftime('%H%M%S%f') }}\"}\n",
		"models/plain.sql": "{{ config(alias='b') }} select '{{ run_started_at }}' as at",
	} {
		write(t, filepath.Join(cfg.ProjectDir, filepath.FromSlash(name)), text)
	}
	l, err := cli(t, cfg).List(t.Context(), Selection{Models: []string{"stamped", "run", "dated", "plain"}})
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(l.Warnings, "\n")
	for name, want := range map[string]bool{"stamped": true, "run": true, "dated": true, "plain": false} {
		if strings.Contains(told, "The configuration of "+name+" depends on the time") != want {
			t.Errorf("%s: want %t: %s", name, want, told)
		}
	}
}
