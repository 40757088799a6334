package dbtrun_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// plannedResources of a project of plannedModels models must fit into largestPlan bytes: that is what a comment on a
// pull request holds.
const plannedResources, plannedModels, largestPlan = 20, 2000, 60_000

// TestPlanOf20ResourcesStaysSmall adds up what Terraform prints for 20 resources in a project of 2,000 models: for
// resources that select a twentieth of them, everything, and as many models as are still listed by name.
func TestPlanOf20ResourcesStaysSmall(t *testing.T) {
	t.Parallel()
	var existing []dbt.Existing
	for i := range plannedModels {
		existing = append(existing, table(fmt.Sprintf("fct_orders_%04d", i), 1200300))
	}
	for name, selected := range map[string]int{"a twentieth": plannedModels / plannedResources,
		"everything": plannedModels, "the longest list": 8, "one line per relation": 5, "rows of each table": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size, text := 0, ""
			for i := range plannedResources {
				if i > 0 && selected == plannedModels {
					size += len(text) // each resource selects the same
					continue
				}
				text = printed(t, answers{listing: layer(i, selected), catalog: exists(existing...)},
					fmt.Sprintf(`{"models": ["tag:layer_%02d"]}`, i))
				size += len(text)
			}
			t.Logf("%d bytes", size)
			if size > largestPlan {
				t.Errorf("%d resources take %d bytes, more than %d. The last one:\n%s", plannedResources, size,
					largestPlan, text)
			}
		})
	}
}

// TestEachOfManyModelsIsCompared exchanges a model that the list in the preview leaves out.
func TestEachOfManyModelsIsCompared(t *testing.T) {
	t.Parallel()
	facts := func(l dbt.Listing) string {
		action, err := dbtrun.New(answers{listing: l}, playbook.DefaultEstimates()).Bind(json.RawMessage(
			`{"models": ["tag:nightly"]}`))
		if err != nil {
			t.Fatal(err)
		}
		p, err := action.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s", p.Facts)
	}
	reviewed, now := layer(0, plannedResources), layer(0, plannedResources)
	now.Models[plannedResources-1] = model("another", "table", nil)
	if facts(reviewed) == facts(now) {
		t.Error("another model has the same facts")
	}
}

// layer is the listing of some of the models. All others are downstream of them.
func layer(number, selected int) dbt.Listing {
	l := listing()
	for i := range plannedModels {
		name := fmt.Sprintf("fct_orders_%04d", i)
		if len(l.Models) < selected && i >= number*plannedModels/plannedResources%(plannedModels-selected+1) {
			kind := [...]string{"table", "incremental", "view"}[i%3]
			l.Models = append(l.Models, model(name, kind, nil))
			continue
		}
		l.DownstreamModels = append(l.DownstreamModels, name)
	}
	return l
}

// printed is what Terraform prints for one new resource, with the indentation, the names, and the marks that it adds.
func printed(t *testing.T, of answers, inputs string) string {
	t.Helper()
	action, err := dbtrun.New(of, playbook.DefaultEstimates()).Bind(json.RawMessage(inputs))
	if err != nil {
		t.Fatal(err)
	}
	p, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("  # remediation_dbt_run.layers[10] will be created\n" +
		"  + resource \"remediation_dbt_run\" \"layers\" {\n" + "      + dry_run = <<-EOT\n")
	for line := range strings.Lines(textOf(t, of, inputs)) {
		b.WriteString(strings.Repeat(" ", 12) + line)
	}
	b.WriteString("        EOT\n")
	members := map[string]any{"affected": p.Affected, "approval_granted": true, "approval_required": false,
		"command": strings.Join(p.Commands, "\n"), "content": strings.Repeat("0", 64), "digest": "sha256:" +
			strings.Repeat("0", 64), "estimated_cost_usd": p.CostUSD, "estimated_duration_seconds": 60000,
		"identity": strings.Repeat("0", 64),
		"record":   20, "risk": "low", "rollback_available": false, "target": "dbt:shop/prod"}
	facts, err := json.Marshal(p.Facts)
	if err == nil {
		err = json.Unmarshal(facts, &members)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"models", "downstream_model_count", "exposure_count", "exposures"} {
		delete(members, name) // they are facts, and no attributes
	}
	for name, value := range members {
		list, isList := value.([]any)
		if texts, ok := value.([]string); ok {
			isList = true
			for _, text := range texts {
				list = append(list, text)
			}
		}
		if !isList {
			fmt.Fprintf(&b, "          + %-26s = %q\n", name, fmt.Sprint(value))
			continue
		}
		fmt.Fprintf(&b, "          + %-26s = [\n", name)
		for _, item := range list {
			fmt.Fprintf(&b, "              + %q,\n", fmt.Sprint(item))
		}
		b.WriteString("            ]\n")
	}
	fmt.Fprintf(&b, "      + models = [\n          + %q,\n        ]\n", inputs)
	for _, name := range []string{"id", "history", "result", "status"} {
		fmt.Fprintf(&b, "      + %s = (known after apply)\n", name)
	}
	b.WriteString("    }\n")
	return b.String()
}
