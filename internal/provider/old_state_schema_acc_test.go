package provider_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// TestNewestStateHasTheSchema compares the resources' schemas with those of the newest state fixture. A changed schema
// needs a state of its own, or nobody notices that the upgrade after it plans an execution.
func TestNewestStateHasTheSchema(t *testing.T) {
	t.Parallel()
	folders := stateFolders(t)
	newest := folders[len(folders)-1]
	const advice = "Keep the old folders, and write a state of the new schema:\n" +
		"  REMEDIATION_WRITE_STATE=1 tools/test.sh -run '^TestAccOldStatesPlanNothing$' ./internal/provider\n" +
		"Then commit the new folder in internal/provider/" + statesFolder + "."
	want := schemas(t)
	if diff := cmp.Diff(strings.Split(read(t, filepath.Join(newest, "schema.txt")), "\n"),
		strings.Split(want, "\n")); diff != "" {
		t.Errorf("the schema is not that of the newest state, %s (-state +schema):\n%s\n%s", newest, diff, advice)
	}
	resources := read(t, filepath.Join(newest, "resources.tf"))
	for _, name := range resourceNames(t) {
		if !strings.Contains(resources, fmt.Sprintf("resource %q ", name)) {
			t.Errorf("%s has no %s. Add one to writeState. %s", newest, name, advice)
		}
	}
}

// stateFolders returns the folders of the fixtures, oldest first.
func stateFolders(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(statesFolder, "*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no states: %v", err)
	}
	return folders
}

func resourceNames(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(inprocess.New(t, provider.New("test")()).Schema.ResourceSchemas))
}

// schemas returns what a state can contain: one line per resource, block, and attribute.
func schemas(t *testing.T) string {
	t.Helper()
	all := inprocess.New(t, provider.New("test")()).Schema.ResourceSchemas
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, fmt.Sprintf("%s: version %d", name, all[name].Version))
		lines = append(lines, blockLines(name, all[name].Block)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

func blockLines(at string, b *tfprotov6.SchemaBlock) []string {
	lines := attributeLines(at, b.Attributes)
	for _, inner := range b.BlockTypes {
		name := at + "." + inner.TypeName
		lines = append(lines, fmt.Sprintf("%s: block, %s", name, inner.Nesting))
		lines = append(lines, blockLines(name, inner.Block)...)
	}
	slices.Sort(lines)
	return lines
}

func attributeLines(at string, attributes []*tfprotov6.SchemaAttribute) []string {
	var lines []string
	for _, a := range attributes {
		name := at + "." + a.Name
		var is []string
		for word, has := range map[string]bool{"required": a.Required, "optional": a.Optional, "computed": a.Computed,
			"sensitive": a.Sensitive, "write-only": a.WriteOnly} {
			if has {
				is = append(is, word)
			}
		}
		slices.Sort(is)
		kind := fmt.Sprint(a.Type)
		if a.NestedType != nil {
			kind = a.NestedType.Nesting.String()
			lines = append(lines, attributeLines(name, a.NestedType.Attributes)...)
		}
		lines = append(lines, fmt.Sprintf("%s: %s, %s", name, kind, strings.Join(is, ", ")))
	}
	return lines
}
