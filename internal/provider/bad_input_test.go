package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

type (
	values = inprocess.Values
	list   = []any
)

// badInput is a configuration that must be refused, with the expected message and attribute. The tables of this package
// cover the provider's whole validation.
type badInput struct {
	// block is the provider block. Unless it sets them, its journal and planner are files of the test.
	block values
	// resource or data is the type that values configure. If neither is set, the provider block itself is at fault.
	resource, data string
	values         values
	// imports is the identifier of an import into resource.
	imports string
	says    string
	at      string
	// live reports that the value can only be refused after reading the target. All others are refused before anything
	// is read or written.
	live bool
}

// fewest is the minimum number of bad inputs.
const fewest = 150

// allBadInputs are those of all tables, by name.
func allBadInputs() map[string]badInput {
	all := map[string]badInput{}
	for kind, table := range map[string]map[string]badInput{
		"provider": badBlocks(), "policy": badPolicies(), "common": badCommon(), "resource": badResources(),
		"synonyms": badSynonyms(), "data": badData(),
	} {
		for name, c := range table {
			all[kind+"/"+name] = c
		}
	}
	return all
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	all := allBadInputs()
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.try(t)
		})
	}
	if len(all) < fewest {
		t.Errorf("%d bad inputs, and %d are wanted", len(all), fewest)
	}
	t.Logf("%d bad inputs", len(all))
}

const splitFile = `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`

func (c badInput) try(t *testing.T) {
	dir := t.TempDir()
	block := values{
		"journal": values{"path": filepath.Join(dir,
			"journal.db")}, "planner": values{"file": values{"path": filepath.Join(dir, "planner.json")}},
	}
	for name, v := range c.block {
		block[name] = v
	}
	if err := os.WriteFile(filepath.Join(dir, "planner.json"), []byte(splitFile), 0o600); err != nil {
		t.Fatal(err)
	}
	server := inprocess.New(t, provider.New("test")())
	answer := server.Provider(block)
	if c.resource != "" || c.data != "" {
		if len(answer.Diagnostics) > 0 {
			t.Fatalf("the provider block is not good: %s", text(answer.Diagnostics))
		}
		switch {
		case c.imports != "":
			answer = server.Import(c.resource, c.imports)
		case c.data != "":
			answer = server.Data(c.data, c.values)
		default:
			answer = server.Resource(c.resource, c.values)
		}
	}
	found := answer.Errors()
	if !slices.ContainsFunc(found, func(d *tfprotov6.Diagnostic) bool {
		return strings.Contains(d.Summary+": "+d.Detail, c.says) && inprocess.Path(d.Attribute) == c.at
	}) {
		t.Errorf("want %q at %s, got:\n%s", c.says, c.at, text(answer.Diagnostics))
	}
	if len(found) > 1 {
		t.Errorf("one mistake has %d errors:\n%s", len(found), text(found))
	}
	for _, d := range found {
		if d.Summary == "" || d.Detail == "" || strings.Contains(d.Detail, "error in the provider") {
			t.Errorf("nobody can act on: %s", text(found))
		}
	}
	early := answer.Stage != inprocess.Plan || c.data != "" || c.imports != ""
	if early == c.live && len(found) > 0 {
		t.Errorf("refused at %s, want a look at the target: %t", answer.Stage, c.live)
	}
	if !c.live {
		c.untouched(t, dir)
	}
}

// untouched checks that nothing was written, not even a journal.
func (c badInput) untouched(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "planner.json" && c.data == "" && c.imports == "" {
			t.Errorf("%s was made for an input that is refused", e.Name())
		}
	}
	if now, err := os.ReadFile(filepath.Join(dir, "planner.json")); err != nil || string(now) != splitFile {
		t.Errorf("the planner file was changed: %s, %v", now, err)
	}
}

func text(diagnostics []*tfprotov6.Diagnostic) string {
	var b strings.Builder
	for _, d := range diagnostics {
		b.WriteString(d.Severity.String() + " at " + inprocess.Path(d.Attribute) + ": " + d.Summary + ": " + d.Detail +
			"\n")
	}
	return b.String()
}

// anythingGoes lists inputs for which every value of the type is valid, with the reason.
func anythingGoes() map[string]string {
	return map[string]string{
		"provider.elasticsearch.insecure":          "a bool",
		"provider.approval.separation_of_duties":   "a bool",
		"common.run_if":                            "a bool",
		"common.approval.break_glass":              "a bool",
		"common.triggers":                          "any values: only their change counts",
		"remediation_dbt_run.upstream":             "a bool",
		"remediation_dbt_run.full_refresh":         "a bool",
		"remediation_dbt_run.defer":                "a bool",
		"remediation_dbt_deps.upgrade":             "a bool",
		"remediation_synonyms_refresh.reindex":     "a bool",
		"remediation_synonyms_refresh.allow_all":   "a bool",
		"remediation_cache_clear.allow_all":        "a bool",
		"remediation_canary_split.gradual":         "a bool",
		"remediation_planner_rollback.immediate":   "a bool",
		"remediation_metric_gate.fail":             "a bool",
		"data.remediation_action_history.dry_runs": "a bool",
	}
}

// TestEveryInputHasABadValue walks the schema. It fails for a new attribute until a table has an invalid value for it.
func TestEveryInputHasABadValue(t *testing.T) {
	t.Parallel()
	schema := inprocess.New(t, provider.New("test")()).Schema
	common := inAll(schema.ResourceSchemas)
	tried := map[string]bool{}
	index := regexp.MustCompile(`\[[^\]]*\]`)
	for _, c := range allBadInputs() {
		at := index.ReplaceAllString(c.at, "")
		first, _, _ := strings.Cut(at, ".")
		switch {
		case c.data == "remediation_preview" && slices.Contains(common, first):
			tried["common."+at] = true
		case c.data != "":
			tried["data."+c.data+"."+at] = true
		case c.resource != "" && slices.Contains(common, first):
			tried["common."+at] = true
		case c.resource != "":
			tried[c.resource+"."+at] = true
		default:
			tried["provider."+at] = true
		}
	}
	var inputs []string
	inputs = append(inputs, leaves("provider", schema.Provider.Block)...)
	for name, s := range schema.ResourceSchemas {
		for _, a := range s.Block.Attributes {
			under := name
			if slices.Contains(common, a.Name) {
				under = "common"
			}
			inputs = append(inputs, attributeLeaves(under, []*tfprotov6.SchemaAttribute{a})...)
		}
		for _, b := range s.Block.BlockTypes {
			inputs = append(inputs, leaves("common."+b.TypeName, b.Block)...)
		}
	}
	for name, s := range schema.DataSourceSchemas {
		for _, input := range leaves("data."+name, s.Block) {
			// The resources' tables cover the inputs that the preview shares with them.
			if _, shared := strings.CutPrefix(input, "data.remediation_preview."); !shared ||
				!slices.Contains(common, strings.Split(input, ".")[2]) {
				inputs = append(inputs, input)
			}
		}
	}
	slices.Sort(inputs)
	inputs = slices.Compact(inputs)
	exempt := anythingGoes()
	for _, input := range inputs {
		if !tried[input] && exempt[input] == "" {
			t.Errorf("no bad value of %s is tried", input)
		}
		if tried[input] && exempt[input] != "" {
			t.Errorf("%s is excused although a bad value of it is tried", input)
		}
	}
	for input := range exempt {
		if !slices.Contains(inputs, input) {
			t.Errorf("%s is excused and does not exist", input)
		}
	}
	t.Logf("%d inputs, of which %d are excused", len(inputs), len(exempt))
}

// inAll returns the attributes and blocks that all resources have.
func inAll(schemas map[string]*tfprotov6.Schema) []string {
	count := map[string]int{}
	for _, s := range schemas {
		for _, a := range s.Block.Attributes {
			count[a.Name]++
		}
		for _, b := range s.Block.BlockTypes {
			count[b.TypeName]++
		}
	}
	var common []string
	for name, n := range count {
		if n == len(schemas) {
			common = append(common, name)
		}
	}
	return common
}

// leaves returns the paths of the configurable attributes in a block and its nested blocks.
func leaves(under string, block *tfprotov6.SchemaBlock) []string {
	paths := attributeLeaves(under, block.Attributes)
	for _, b := range block.BlockTypes {
		paths = append(paths, leaves(under+"."+b.TypeName, b.Block)...)
	}
	return paths
}

func attributeLeaves(under string, attributes []*tfprotov6.SchemaAttribute) []string {
	var paths []string
	for _, a := range attributes {
		at := under + "." + a.Name
		switch {
		case !a.Optional && !a.Required:
		case a.NestedType != nil:
			paths = append(paths, attributeLeaves(at, a.NestedType.Attributes)...)
		default:
			paths = append(paths, at)
		}
	}
	return paths
}
