package provider_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// nested is a block that a configuration may have, with its path and complete content. If it is empty, it is refused
// with the messages in lacks, which are by attribute.
type nested struct {
	path     string
	complete values
	lacks    map[string]string
}

// providerBlocks are all blocks of the provider block, each complete. A nested block is part of its parent.
func providerBlocks() []nested {
	const missing = "is required"
	return []nested{
		{"dbt", values{"executable": "dbt", "project_dir": ".", "profiles_dir": ".", "target": "prod",
			"environment": values{"A": "b"}}, nil},
		{"elasticsearch", values{"endpoints": list{"https://a:9200"}, "insecure": true}, map[string]string{
			"elasticsearch.endpoints": "without endpoints"}},
		{"planner", values{"file": values{"path": "planner.json"}}, map[string]string{"planner": "block is empty"}},
		{"planner.file", values{"path": "planner.json"}, nil},
		{"planner.http", values{"url": "http://a", "token": "secret"}, map[string]string{
			"planner.http.url": "Invalid web address"}},
		{"planner.applylens", values{"url": "http://a", "stable_version": "v1", "canary_version": "v2"},
			map[string]string{"planner.applylens.stable_version": missing,
				"planner.applylens.canary_version": missing}},
		{"planner.haproxy", values{"address": "tcp://a:1", "backend": "b", "servers": values{"v1": "a", "v2": "b"}},
			map[string]string{"planner.haproxy.address": missing, "planner.haproxy.backend": missing,
				"planner.haproxy.servers": missing}},
		{"planner.gateway_api", values{"namespace": "n", "http_route": "r", "backends": values{"v1": "a", "v2": "b"}},
			map[string]string{"planner.gateway_api.namespace": missing, "planner.gateway_api.http_route": missing,
				"planner.gateway_api.backends": missing}},
		{"prometheus", values{"url": "http://a"}, map[string]string{"prometheus.url": "without url"}},
		{"incidents", values{"url": "http://a/api"}, map[string]string{"incidents.url": "without url"}},
		{"notify", values{"url": "http://a/hook", "format": "slack", "events": list{"failure", "hold"}},
			map[string]string{
				"notify[0].url": "without url"}},
		{"journal", values{"keep": "48h"}, nil},
		{"journal.elasticsearch", values{"index": "journal"}, map[string]string{
			"journal.elasticsearch": "no cluster is configured"}},
		{"approval", values{"approvers": list{"a"}, "minimum": 1}, nil},
		{"approval.rule", values{"name": "a", "risk": "high"}, map[string]string{"approval.rule[0].name": "required"}},
		{"approval.freeze", values{"name": "a", "recurrence": "FREQ=DAILY", "duration": "1h", "time_zone": "UTC"},
			map[string]string{"approval.freeze[0].name": "required", "approval.freeze[0].recurrence": "required",
				"approval.freeze[0].duration": "required", "approval.freeze[0].time_zone": "required"}},
		{"approval.maintenance_window", values{"name": "a", "recurrence": "FREQ=DAILY", "duration": "1h",
			"time_zone": "UTC", "playbooks": list{"rerun_dbt"}}, map[string]string{
			"approval.maintenance_window[0].name":       "required",
			"approval.maintenance_window[0].playbooks":  "required",
			"approval.maintenance_window[0].recurrence": "required",
			"approval.maintenance_window[0].duration":   "required",
			"approval.maintenance_window[0].time_zone":  "required"}},
		{"approval.forge", values{"kind": "gitea", "url": "http://a", "repository": "a/b", "pull_request": 1,
			"commit": strings.Repeat("a", 40)}, map[string]string{"approval.forge.kind": missing}},
		{"estimates", values{"dbt_seconds_per_model": 1}, nil},
		{"logs", values{"base_url": "https://ci.example.com/logs"}, nil},
	}
}

// resourceBlocks are all blocks of a resource.
func resourceBlocks() []nested {
	rail := func(source string, v values) values {
		return values{"name": "a", "max": 1, source: v}
	}
	return []nested{
		{"approval", values{"approved_by": "a@example.com", "ticket": "CHG-1"}, map[string]string{
			"approval[0]": "has approved_by"}},
		{"guardrail", values{"name": "a", "query": "up", "max": 1}, map[string]string{
			"guardrail[0].name": "required"}},
		{"guardrail.http", rail("http", values{"url": "http://127.0.0.1:1"}), map[string]string{
			"guardrail[0].http.url": "is required"}},
		{"guardrail.elasticsearch", rail("elasticsearch", values{"index": "a", "measure": "hits"}), map[string]string{
			"guardrail[0].elasticsearch.index": "is required", "guardrail[0].elasticsearch.measure": "is required"}},
		{"timeouts", values{"create": "5m", "update": "5m", "delete": "5m"}, nil},
	}
}

// TestBlocksAbsentEmptyComplete plans every block absent, empty and complete. The framework asks for the required
// arguments of a block that is absent; the provider must not.
func TestBlocksAbsentEmptyComplete(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, answer inprocess.Answer, lacks map[string]string) {
		t.Helper()
		found := map[string]string{}
		for _, d := range answer.Errors() {
			found[inprocess.Path(d.Attribute)] = d.Summary + ": " + d.Detail
		}
		for at, says := range lacks {
			if !strings.Contains(found[at], says) {
				t.Errorf("want %q at %s", says, at)
			}
		}
		if len(found) != len(lacks) {
			t.Errorf("want %d errors, got:\n%s", len(lacks), text(answer.Diagnostics))
		}
	}
	base := func(t *testing.T) values {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "planner.json"), []byte(splitFile), 0o600); err != nil {
			t.Fatal(err)
		}
		return values{"journal": values{"path": filepath.Join(dir, "journal.db")},
			"planner":    values{"file": values{"path": filepath.Join(dir, "planner.json")}},
			"prometheus": values{"url": "http://127.0.0.1:1"}}
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		refused(t, inprocess.New(t, provider.New("test")()).Provider(values{}), nil)
	})
	for _, b := range providerBlocks() {
		t.Run(b.path, func(t *testing.T) {
			t.Parallel()
			server := inprocess.New(t, provider.New("test")())
			refused(t, server.Provider(at(server.Schema.Provider.Block, b.path, values{})), b.lacks)
			block := at(server.Schema.Provider.Block, b.path, b.complete)
			if b.path == "journal.elasticsearch" {
				block = with(block, cluster(nil))
			}
			refused(t, server.Provider(block), nil)
		})
	}
	for _, b := range resourceBlocks() {
		t.Run("resource "+b.path, func(t *testing.T) {
			t.Parallel()
			server := inprocess.New(t, provider.New("test")())
			refused(t, server.Provider(with(base(t), cluster(nil))), nil)
			inputs := values{"version": "v2", "target_percent": 5}
			refused(t, server.Resource("remediation_canary_split", inputs), nil)
			first, _, within := strings.Cut(b.path, ".")
			empty, complete := b.path, first
			if within {
				inputs[first] = nil
			}
			block := server.Schema.ResourceSchemas["remediation_canary_split"].Block
			in := at(block, empty, values{})
			if within {
				//nolint:forcetypeassert // built here
				in[first] = list{with(values{"name": "a", "max": 1}, in[first].(list)[0].(values))}
			}
			refused(t, server.Resource("remediation_canary_split", with(inputs, in)), b.lacks)
			refused(t, server.Resource("remediation_canary_split", with(inputs, at(block, complete, b.complete))), nil)
		})
	}
}

// at returns a configuration with v in the block at a path, and the blocks around it.
func at(block *tfprotov6.SchemaBlock, path string, v values) values {
	name, rest, within := strings.Cut(path, ".")
	for _, b := range block.BlockTypes {
		if b.TypeName != name {
			continue
		}
		if within {
			v = at(b.Block, rest, v)
		}
		if b.Nesting == tfprotov6.SchemaNestedBlockNestingModeList {
			return values{name: list{v}}
		}
		return values{name: v}
	}
	return nil
}

// TestEveryBlockIsTried walks the schema: a block that is added fails here until it is in a table above.
func TestEveryBlockIsTried(t *testing.T) {
	t.Parallel()
	schema := inprocess.New(t, provider.New("test")()).Schema
	tried := func(all []nested) []string {
		var paths []string
		for _, b := range all {
			paths = append(paths, b.path)
		}
		return slices.Sorted(slices.Values(paths))
	}
	if got, want := tried(providerBlocks()), blockPaths("", schema.Provider.Block); !slices.Equal(got, want) {
		t.Errorf("provider block: tried %v, want %v", got, want)
	}
	for name, s := range schema.ResourceSchemas {
		if got, want := tried(resourceBlocks()), blockPaths("", s.Block); !slices.Equal(got, want) {
			t.Errorf("%s: tried %v, want %v", name, got, want)
		}
	}
	for at, a := range configurable(schema) {
		if a.NestedType != nil {
			t.Errorf("%s: Terraform drops unknown names in a nested attribute, so it must be a block", at)
		}
	}
}

// configurable are the attributes on the first level that users write, by their path.
func configurable(schema *tfprotov6.GetProviderSchemaResponse) map[string]*tfprotov6.SchemaAttribute {
	found := map[string]*tfprotov6.SchemaAttribute{}
	add := func(under string, attributes []*tfprotov6.SchemaAttribute) {
		for _, a := range attributes {
			if a.Optional || a.Required {
				found[under+"."+a.Name] = a
			}
		}
	}
	add("provider", schema.Provider.Block.Attributes)
	for name, s := range schema.ResourceSchemas {
		add(name, s.Block.Attributes)
	}
	for name, s := range schema.DataSourceSchemas {
		add("data."+name, s.Block.Attributes)
	}
	return found
}

func blockPaths(under string, block *tfprotov6.SchemaBlock) []string {
	var paths []string
	for _, b := range block.BlockTypes {
		path := strings.TrimPrefix(under+"."+b.TypeName, ".")
		paths = append(append(paths, path), blockPaths(path, b.Block)...)
	}
	slices.Sort(paths)
	return paths
}

// TestAccMisspelledNames assigns a misspelled name in every block. Terraform must refuse each with its line and a
// suggestion.
func TestAccMisspelledNames(t *testing.T) {
	t.Parallel()
	schema := inprocess.New(t, provider.New("test")()).Schema
	split := "remediation_canary_split"
	for name, tt := range map[string]struct {
		head  []string
		block *tfprotov6.SchemaBlock
	}{
		"provider": {[]string{`provider "remediation" {`}, schema.Provider.Block},
		"resource": {[]string{`resource "` + split + `" "a" {`, `  version = "v2"`, `  target_percent = 5`},
			schema.ResourceSchemas[split].Block},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := misspelled{meant: map[string]string{}}
			m.line(`terraform {`, `  required_providers {`, `    remediation = { source = "applylens/remediation" }`,
				`  }`, `}`)
			m.line(tt.head...)
			m.block(tt.block, "  ")
			m.line(`}`, `data "remediation_playbooks" "a" {}`) // Terraform ignores a provider that nothing uses
			w := acctest.NewWorkspace(t)
			w.Write("main.tf", strings.Join(m.lines, "\n")+"\n")
			out := strings.ReplaceAll(w.MustFail("validate", "-no-color"), "│ ", "")
			if found := suggestions(out); !maps.Equal(found, m.meant) {
				t.Errorf("want %v\ngot %v:\n%s", m.meant, found, out)
			}
		})
	}
}

var unsupported = regexp.MustCompile(`(?s)^Unsupported (?:argument|block type)\n\s*on main.tf line (\d+), in.*` +
	`Did you mean\s+"(\w+)"\?`)

// suggestions are the names that Terraform suggests, by line.
func suggestions(out string) map[string]string {
	found := map[string]string{}
	for _, one := range strings.Split(out, "Error: ") {
		if r := unsupported.FindStringSubmatch(one); r != nil {
			found[r[1]] = r[2]
		}
	}
	return found
}

// misspelled is a configuration with a misspelled name in every block: meant has the right names by line.
type misspelled struct {
	lines []string
	meant map[string]string
}

func (m *misspelled) line(text ...string) { m.lines = append(m.lines, text...) }

// block writes the blocks within block, each with a name that is misspelled.
func (m *misspelled) block(block *tfprotov6.SchemaBlock, indent string) {
	for _, b := range block.BlockTypes {
		m.line(indent + b.TypeName + " {")
		right, value := "", ` = "a"`
		if len(b.Block.Attributes) > 0 {
			right = b.Block.Attributes[len(b.Block.Attributes)-1].Name
		} else {
			right, value = b.Block.BlockTypes[0].TypeName, " {}"
		}
		m.line(indent + "  " + right + "x" + value)
		m.meant[fmt.Sprint(len(m.lines))] = right
		m.block(b.Block, indent+"  ")
		m.line(indent + "}")
	}
}
