package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// TestApplyComparesPrograms changes the programs between plan and apply, on the same host and on another one, with and
// without a list of programs in the runner's policy.
func TestApplyComparesPrograms(t *testing.T) {
	t.Parallel()
	planned := []proc.Program{
		{Name: "dbt", Path: "/opt/dbt/bin/dbt", SHA256: strings.Repeat("1", 64)},
		{Name: "dbt-core", Path: "/opt/dbt/lib/dbt_core-1.dist-info/RECORD", SHA256: strings.Repeat("2", 64)},
	}
	elsewhere := slices.Clone(planned)
	elsewhere[0].Path = "/srv/dbt/bin/dbt"
	upgraded := slices.Clone(planned)
	upgraded[1] = proc.Program{Name: "dbt-core", Path: "/opt/dbt/lib/dbt_core-2.dist-info/RECORD",
		SHA256: strings.Repeat("3", 64)}
	edited := slices.Clone(planned)
	edited[1].SHA256 = strings.Repeat("4", 64)
	for name, tt := range map[string]struct {
		was, now []proc.Program
		host     string // of apply; empty: that of plan
		listed   bool
		refused  string
		remark   string
	}{
		"the same":               {was: planned, now: planned},
		"another executable":     {was: planned, now: elsewhere, refused: "dbt: was /opt/dbt/bin/dbt (SHA-256 1111"},
		"an upgrade of dbt-core": {was: planned, now: upgraded, refused: "now /opt/dbt/lib/dbt_core-2.dist-info"},
		"an edited RECORD":       {was: planned, now: edited, refused: "dbt-core: was /opt/dbt/lib/dbt_core-1.dist"},
		"a package is gone":      {was: planned, now: planned[:1], refused: "(SHA-256 222222222222...), now none"},
		"a package more":         {was: planned[:1], now: planned, refused: "dbt-core: was none, now /opt"},
		"a list on the same host": {was: planned, now: edited, listed: true,
			refused: "dbt-core: was /opt/dbt/lib/dbt_core-1.dist"},
		"another host":                 {was: planned, now: planned, host: "elsewhere"},
		"another path on another host": {was: planned, now: elsewhere, host: "elsewhere"},
		"an upgrade on another host": {was: planned, now: upgraded, host: "elsewhere",
			remark: "dbt-core: was /opt"},
		"an upgrade on another host, with list": {was: planned, now: upgraded, host: "elsewhere", listed: true},
		"an old dry run without programs":       {now: planned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			req := request("a")
			b.fake.programs = tt.was
			was := shownBy(b.plan(t, req))
			b.fake.programs = tt.now
			if tt.host != "" {
				b.cfg.Self.Host = tt.host
			}
			b.cfg.ProgramsListed = tt.listed
			b.Engine = engine.New(b.cfg)
			if tt.refused != "" {
				b.refused(t, req, was, engine.ErrTargetChanged, tt.refused)
				if _, err := b.planned(t, req); err != nil { // the next plan records the new programs
					t.Errorf("planned again: %v", err)
				}
				return
			}
			x, err := b.Apply(t.Context(), req, was, func(engine.Execution) {})
			if err != nil {
				t.Fatal(err)
			}
			remark := x.Record.Result.Details["remarks"]
			if (remark != "") != (tt.remark != "") || !strings.Contains(remark, tt.remark) {
				t.Errorf("the history says %q, want %q", remark, tt.remark)
			}
		})
	}
}

// TestProgramsAreNotInTheDigest plans with other programs and on another host: digest and payload stay, and a new
// record says which programs apply has to find.
func TestProgramsAreNotInTheDigest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.reasons = []string{"it is dangerous"}
	b.fake.programs = []proc.Program{{Name: "dbt", Path: "/opt/dbt", SHA256: "1"}}
	first := b.plan(t, request("a"))
	if again := b.plan(t, request("a")); again.Record != first.Record {
		t.Errorf("an unchanged plan shows record %d instead of %d", again.Record, first.Record)
	}
	b.fake.programs = []proc.Program{{Name: "dbt", Path: "/opt/dbt", SHA256: "2"}}
	second := b.plan(t, request("a"))
	b.cfg.Self.Host = "elsewhere"
	b.Engine = engine.New(b.cfg)
	third := b.plan(t, request("a"))
	for _, review := range []engine.Review{second, third} {
		if review.Digest != first.Digest || review.Decision.Payload != first.Decision.Payload {
			t.Errorf("digest %s and payload %q, want %s and %q", review.Digest, review.Decision.Payload, first.Digest,
				first.Decision.Payload)
		}
	}
	if second.Record == first.Record || third.Record == second.Record {
		t.Errorf("records %d, %d, %d: each says what its host would run", first.Record, second.Record, third.Record)
	}
	if _, err := b.planned(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
		t.Errorf("got %v, want only the approval to be missing", err)
	}
}
