// Package synonymsrefresh is the resource remediation_synonyms_refresh: a front of the playbook refresh_synonyms.
package synonymsrefresh

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "synonyms_refresh", Playbook: synonyms.Describe(), Inputs: inputs(),
		Preview: preview(),
		Description: "Makes Elasticsearch indices use the synonyms that their filter's set or file holds now. The " +
			"plan says which way is taken and why: a " +
			"reload, closing and opening, or a reindex. See the guide \"Refreshing synonyms\".",
	})
}

func inputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"index_name": schema.StringAttribute{
			Required: true, MarkdownDescription: "Index, alias, pattern or data stream. A reindex needs the name " +
				"that clients use: an alias of one index, or that index itself.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"synonym_filter": schema.StringAttribute{
			Required: true, MarkdownDescription: "Filter of the type `synonym` or `synonym_graph` in the settings of " +
				"the index. Its synonyms are in a set (`synonyms_set`) or a file (`synonyms_path`).",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"reindex": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Copy every document into a new index, without downtime. Needed where documents are " +
				"analyzed with the filter when they are indexed. " +
				"Needs an approval. Default `false`.",
		},
		"slices": schema.NumberAttribute{
			Optional: true, MarkdownDescription: "How many parts of the copy run side by side, 1 to 1024. Not set: " +
				"as many as Elasticsearch chooses. Only with `reindex`.",
			Validators: []validator.Number{tfkit.Whole(1, synonyms.MostSlices)},
		},
		"requests_per_second": schema.NumberAttribute{
			Optional: true, MarkdownDescription: "Limit of the copy, in documents per second. Not set: none. Only " +
				"with `reindex`.",
			Validators: []validator.Number{tfkit.Decimal(leastRate, mostRate)},
		},
		"probe_texts": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Texts that are analyzed before and after, 20 at most. The plan shows today's " +
				"tokens, and `result.details` what each text gained and lost.",
			Validators: []validator.List{
				listvalidator.SizeBetween(1,
					synonyms.MostProbes), listvalidator.UniqueValues(),
				listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1)),
			},
		},
		"keep_old_index": schema.BoolAttribute{
			Optional: true, MarkdownDescription: "Keep the old index of a reindex, with its writes blocked, so that " +
				"there is a way back. Default `true`. Only with `reindex`.",
		},
		"allow_all": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Let `index_name` be `_all` or `*`. Default `false`.",
		},
	}
}

// Bounds of the pace of a copy that can be asked for, in documents per second.
const (
	leastRate = 0.001
	mostRate  = 1e9
)

func preview() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"way":        tfkit.Text("How the synonyms are refreshed: `reload`, `close_open` or `reindex`."),
		"way_reason": tfkit.Text("Why this way."),
		"indices":    tfkit.Texts("Concrete indices that are worked on."),
		"synonyms_source": tfkit.Text("Where the synonyms are kept, such as `set products` or `file " +
			"analysis/synonyms.txt`."),
		"analyzers": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "Analyzers that take up new synonyms, by index.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"index": tfkit.Text("Index."),
				"names": tfkit.Texts("Its analyzers."),
			}},
		},
		"probes": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "The texts of `probe_texts` as they are analyzed now and afterwards.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"text":          tfkit.Text("Text."),
				"analyzer":      tfkit.Text("Analyzer."),
				"tokens":        tfkit.Texts("What it tokenizes the text into today, in order."),
				"from_synonyms": tfkit.Texts("Those of the tokens that synonyms added."),
				"expected":      tfkit.Texts("The tokens once the synonyms are loaded; null where not known."),
			}},
		},
	}
}
