// Package situations_test compares the text of dry runs with golden files, for every playbook in every situation in
// which somebody reads it: the first run, another one, a retry, an update, a skip, a chain, and a target that is held.
package situations_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

type (
	values = inprocess.Values
	list   = []any
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// scene is a playbook on a target.
type scene struct {
	resource string
	provider values
	// first are the inputs of the first run, and update are inputs that differ from them.
	first, update values
	// fail makes the next execution fail, and repair reverts that.
	fail, repair func()
	// slow are inputs with which the next execution fails, instead of fail.
	slow values
	// earlier is a step before it on the same target, of the resource before; nil if it follows none.
	before  string
	earlier values
	// anonymous replaces what differs between runs.
	anonymous []string
}

func with(base, more values) values {
	all := values{}
	for _, from := range []values{base, more} {
		for name, v := range from {
			all[name] = v
		}
	}
	return all
}

// stage plays a scene.
type stage struct {
	scene
	t       *testing.T
	server  *inprocess.Server
	journal string
	out     strings.Builder
}

// TestAccSituations writes one golden file per playbook.
func TestAccSituations(t *testing.T) {
	t.Parallel()
	for name, build := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stage{scene: build(t), t: t, journal: filepath.Join(t.TempDir(), "journal.db")}
			s.start()
			s.play()
			acctest.Golden(t, name+".txt", s.steady(s.out.String()))
		})
	}
}

// start starts a provider, as for another run of Terraform.
func (s *stage) start() {
	s.t.Helper()
	s.server = inprocess.New(s.t, provider.New("test")())
	block := with(s.provider, values{"journal": values{"path": s.journal},
		"approval": values{"approvers": list{"*@example.com"}}})
	if errs := s.server.Provider(block).Errors(); len(errs) > 0 {
		s.t.Fatalf("the provider block: %+v", errs[0])
	}
}

func (s *stage) play() {
	s.t.Helper()
	const approver = "approved_by"
	approved := with(s.first, values{approver: "lead@example.com"})
	s.show("first run", s.first, nil)
	s.show("skipped: run_if is false", with(s.first, values{"run_if": false}), nil)
	if s.earlier != nil {
		step := s.server.Change(s.before, s.earlier, nil)
		preview, _ := step.Planned["preview"].(values)
		s.show("chain", with(s.first, values{"after": list{preview["digest"]}}), nil)
	}
	if s.fail != nil {
		s.fail()
	}
	_, diagnostics := s.server.Apply(s.server.Change(s.resource, with(approved, s.slow), nil))
	s.say("the apply fails", "", diagnostics)
	if s.repair != nil {
		s.repair()
	}
	s.show("retry after the failure", s.first, nil)
	change := s.server.Change(s.resource, with(approved, values{"expected_digest": s.pin(approved)}), nil)
	state, diagnostics := s.server.Apply(change)
	if len(diagnostics) > 0 {
		s.say("the next apply", "", diagnostics)
	}
	s.show("run again", with(s.first, values{"triggers": values{"run": "2"}}), state)
	s.show("update", with(s.first, s.update), state)
	s.hold(change)
	s.show("held by another execution", with(s.first, values{"triggers": values{"run": "3"}}), state)
}

// pin returns the digest of what would run.
func (s *stage) pin(inputs values) any {
	s.t.Helper()
	preview, _ := s.server.Change(s.resource, inputs, nil).Planned["preview"].(values)
	digest, _ := preview["digest"].(string)
	return strings.TrimPrefix(digest, "sha256:")
}

// show plans and writes what a reader sees.
func (s *stage) show(title string, inputs values, state *inprocess.State) {
	s.t.Helper()
	c := s.server.Change(s.resource, inputs, state)
	s.start()
	text, _ := c.Planned["dry_run"].(string)
	s.say(title, text, c.Diagnostics)
}

func (s *stage) say(title, text string, diagnostics []*tfprotov6.Diagnostic) {
	fmt.Fprintf(&s.out, "## %s\n\n%s\n", title, text)
	for _, d := range diagnostics {
		fmt.Fprintf(&s.out, "%s: %s\n\n%s\n\n", d.Severity, d.Summary, d.Detail)
	}
}

// hold makes another process hold the target of a planned change.
func (s *stage) hold(c inprocess.Change) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	store, err := sqlite.Open(ctx, s.journal, clock.System{})
	if err != nil {
		s.t.Fatal(err)
	}
	preview, _ := c.Planned["preview"].(values)
	const init = 1
	_, err = store.Begin(ctx, journal.Subject{Playbook: "adjust_canary_split", Target: fmt.Sprint(preview["target"]),
		Request: "another"}, journal.KindIntent, journal.Intent{Holder: proc.Identify(init)})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// steady replaces what differs between runs.
func (s *stage) steady(text string) string {
	text = strings.NewReplacer(s.anonymous...).Replace(text)
	for _, rule := range [][2]string{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "2026-03-01T03:04:05Z"}, {`As of \d\d:\d\d`, "As of 03:04"},
		{`[0-9a-f]{64}`, "..."}, {`"[0-9a-f]{20}"`, `"..."`}, {`\b[0-9a-f]{8}-\d+\b`, "4f9c2a17-12"},
		{`file://\S*/executions`, "file:///srv/remediation/executions"}, {`executions/\d+`, "executions/12"},
		{`execution \d+\b`, "execution 12"}, {`1\.11\.\d+`, "1.11.16"}, {`[\d.]+ KiB`, "N KiB"},
		{`process \d+ on [\w-]+`, "process 1 on runner-1"},
		{`Estimate    \S+( to \S+)? \S+, (USD [\d.]+) \((\d+ runs?)`, "Estimate    N s, $2 ($3"},
		{`((stopped|reported) after) [\d.]+ (s|min)`, "$1 N $3"}, {`remediation-test-(\w+?)-[0-9a-f]{16}`, "$1"},
		{`127\.0\.0\.1:\d+`, "search.example.com:9200"},
	} {
		text = regexp.MustCompile(rule[0]).ReplaceAllString(text, rule[1])
	}
	return text
}
