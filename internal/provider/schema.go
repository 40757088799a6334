package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// maxHistory bounds history_limit. Terraform reads and writes the whole state, so a long history slows every plan down.
const maxHistory = 500

// block is the provider block.
type block struct {
	DBT           *dbtBlock           `tfsdk:"dbt"`
	Planner       *plannerBlock       `tfsdk:"planner"`
	Elasticsearch *elasticsearchBlock `tfsdk:"elasticsearch"`
	Prometheus    *prometheusBlock    `tfsdk:"prometheus"`
	Incidents     *incidentsBlock     `tfsdk:"incidents"`
	Notify        []notifyBlock       `tfsdk:"notify"`
	Journal       *journalBlock       `tfsdk:"journal"`
	Approval      *approvalBlock      `tfsdk:"approval"`
	Estimates     *estimatesBlock     `tfsdk:"estimates"`
	Logs          *logsBlock          `tfsdk:"logs"`
	HistoryLimit  types.Number        `tfsdk:"history_limit"`
}

type dbtBlock struct {
	Executable  types.String      `tfsdk:"executable"`
	ProjectDir  types.String      `tfsdk:"project_dir"`
	ProfilesDir types.String      `tfsdk:"profiles_dir"`
	Target      types.String      `tfsdk:"target"`
	Environment map[string]string `tfsdk:"environment"`
}

type estimatesBlock struct {
	DBTSecondsPerModel types.Number `tfsdk:"dbt_seconds_per_model"`
	DBTCostPerModelUSD types.Number `tfsdk:"dbt_cost_per_model_usd"`
}

func optionalString(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description,
		Validators: []validator.String{tfkit.Line()}}
}

// optionalText is an optional string that may have several lines.
func optionalText(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description,
		Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
}

func blockSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "Runs incident playbooks as resources. `terraform plan` is the dry run, and `terraform " +
			"apply` executes it with the approval that the plan requires. The state and a journal keep the history.",
		Attributes: map[string]schema.Attribute{
			"history_limit": schema.NumberAttribute{
				Optional: true, MarkdownDescription: fmt.Sprintf("Number of executions that a resource keeps in "+
					"the state, newest first. The journal keeps all of them. Default: `%d`.", defaultHistory),
				Validators: []validator.Number{tfkit.Whole(1, maxHistory)},
			},
		},
		Blocks: map[string]schema.Block{
			"dbt": schema.SingleNestedBlock{
				MarkdownDescription: "The dbt installation on this machine.",
				Attributes: map[string]schema.Attribute{
					"executable": optionalString("dbt executable, as a path or a name on `PATH`. Default: `dbt`. " +
						"Environment: `REMEDIATION_DBT_EXECUTABLE`."),
					"project_dir": optionalString("Folder with `dbt_project.yml`. Default: the working directory. " +
						"Environment: `DBT_PROJECT_DIR`."),
					"profiles_dir": optionalString("Folder with `profiles.yml`. Default: `project_dir` if it has " +
						"one, otherwise `~/.dbt`, as in dbt. Environment: `DBT_PROFILES_DIR`."),
					"target": optionalString("Target of the profile. Default: the profile's default target. " +
						"Environment: `DBT_TARGET`."),
					"environment": schema.MapAttribute{
						Optional: true, Sensitive: true, ElementType: types.StringType,
						Validators: []validator.Map{mapvalidator.NoNullValues()},
						MarkdownDescription: "Environment variables for dbt. Of the provider's environment, dbt gets " +
							"only a few system variables and those that begin with `DBT_ENV_`. Logs, errors, and " +
							"records mask the values.",
					},
				},
			},
			"planner":       plannerSchema(),
			"elasticsearch": elasticsearchSchema(),
			"prometheus":    prometheusSchema(),
			"incidents":     incidentsSchema(),
			"notify":        notifySchema(),
			"journal":       journalSchema(),
			"approval":      approvalSchema(),
			"logs":          logsSchema(),
			"estimates": schema.SingleNestedBlock{
				MarkdownDescription: "Figures that replace the estimates of the catalogue.",
				Attributes: map[string]schema.Attribute{
					"dbt_seconds_per_model": schema.NumberAttribute{
						Optional: true, MarkdownDescription: "Estimated seconds per dbt model. Default: 300.",
						Validators: []validator.Number{tfkit.Decimal(minSeconds, maxSeconds)},
					},
					"dbt_cost_per_model_usd": schema.NumberAttribute{
						Optional: true, MarkdownDescription: "Estimated cost per dbt model, in US dollars. Default: " +
							"0.05.",
						Validators: []validator.Number{tfkit.Decimal(0, maxCostUSD)},
					},
				},
			},
		},
	}
}

// Bounds of the estimates per model, in seconds and US dollars. A run needs a deadline, and sums must stay finite.
const (
	minSeconds = 1
	maxSeconds = 86_400
	maxCostUSD = 1e6
)
