package dbt

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParentsOfAModel covers what a model reads through ephemeral models, and what it reads where another run built it.
func TestParentsOfAModel(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	models := filepath.Join(cfg.ProjectDir, "models")
	write(t, filepath.Join(models, "first.sql"), "{{ config(materialized='ephemeral') }}\n"+
		"select * from {{ source('raw', 'raw_emails') }} join {{ ref('inbox_emails') }} using (id)\n")
	write(t, filepath.Join(models, "second.sql"), "{{ config(materialized='ephemeral') }}\n"+
		"select * from {{ ref('first') }}\n")
	write(t, filepath.Join(models, "reader.sql"), "select * from {{ ref('second') }}\n")
	parse := exec.CommandContext(t.Context(), dbtPath(t), "parse", "--target", "prod", "--target-path", "state")
	parse.Dir = cfg.ProjectDir
	if out, err := parse.CombinedOutput(); err != nil {
		t.Fatalf("dbt parse: %v\n%s", err, out)
	}
	c := cli(t, cfg)
	for deferring, deferred := range map[bool]*Relation{false: nil, true: {"shop", "prod", "inbox_emails"}} {
		s := Selection{Models: []string{"reader"}, State: "state", Defer: deferring}
		l, err := c.List(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		ephemeral := func(name string) Parent {
			return Parent{UniqueID: "model.shop." + name, Name: name, Relation: Relation{"shop", "main", name},
				Virtual: true}
		}
		want := []Parent{ephemeral("first"), {UniqueID: "model.shop.inbox_emails", Name: "inbox_emails",
			Relation: Relation{"shop", "main", "inbox_emails"}, Deferred: deferred}, ephemeral("second"),
			{UniqueID: "source.shop.raw.raw_emails", Name: "raw_emails",
				Relation: Relation{"shop", "raw", "raw_emails"}, Virtual: true}}
		got := l.Models[0].Parents
		for i := range got {
			if got[i].Virtual {
				got[i].Deferred = nil // where an ephemeral model is part of other statements doesn't matter
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("defer = %t (-want +got):\n%s", deferring, diff)
		}
	}
}
