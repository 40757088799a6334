// Package synonymsrefresh is the resource remediation_synonyms_refresh, which runs the playbook refresh_synonyms.
package synonymsrefresh

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := synonyms.Describe()
	return tfkit.NewResource(tfkit.Front{
		Name: "synonyms_refresh", Playbook: playbook, Inputs: inputs(playbook.Default), Preview: preview(),
		Description: "Loads the current synonyms of a synonym set or file into Elasticsearch indices. The plan shows " +
			"how and why: with a reload, by closing and opening the index, or with a reindex. See the guide " +
			"\"Refreshing synonyms\".",
	})
}

// inputs returns the input attributes. fallback returns the sentence about an input's default.
func inputs(fallback func(string) string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"index_name": schema.StringAttribute{
			Required: true, MarkdownDescription: "Index, alias, pattern, or data stream. A reindex needs the name " +
				"that clients use: an alias of one index, or that index itself.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"synonym_filter": schema.StringAttribute{
			Required: true, MarkdownDescription: "Filter of type `synonym` or `synonym_graph` in the settings of the " +
				"index. Its synonyms are in a set (`synonyms_set`) or a file (`synonyms_path`).",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"reindex": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "Copies every document into a new index, without downtime. Needed where documents " +
				"are analyzed with the filter when they are indexed. Needs an approval. " + fallback("reindex"),
		},
		"slices": schema.NumberAttribute{
			Optional: true, MarkdownDescription: "Number of parts of the copy that run in parallel, 1 to 1024. Only " +
				"with `reindex`. Default: Elasticsearch chooses.",
			Validators: []validator.Number{tfkit.Whole(1, synonyms.MostSlices)},
		},
		"requests_per_second": schema.NumberAttribute{
			Optional: true, MarkdownDescription: "Limit of the copy, in documents per second. Only with `reindex`. " +
				"Default: no limit.",
			Validators: []validator.Number{tfkit.Decimal(leastRate, mostRate)},
		},
		"probe_texts": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Up to 20 texts that are analyzed before and after. The plan shows their current " +
				"tokens, and `result.details` the tokens that each text gained and lost.",
			Validators: []validator.List{
				listvalidator.SizeBetween(1, synonyms.MostProbes), listvalidator.UniqueValues(),
				listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1)),
			},
		},
		"keep_old_index": schema.BoolAttribute{
			Optional: true, MarkdownDescription: "Keeps the old index of a reindex, with its writes blocked, which " +
				"makes an undo possible. Only with `reindex`. Default: `true`.",
		},
		"allow_all": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Allows `_all` and `*` as `index_name`. " + fallback("allow_all"),
		},
	}
}

// Bounds of requests_per_second.
const (
	leastRate = 0.001
	mostRate  = 1e9
)

func preview() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"way":        tfkit.Text("How the synonyms are refreshed: `reload`, `close_open`, or `reindex`."),
		"way_reason": tfkit.Text("Why this way is needed."),
		"indices":    tfkit.Texts("Concrete indices that are refreshed."),
		"synonyms_source": tfkit.Text("Where the synonyms are kept, such as `set products` or `file " +
			"analysis/synonyms.txt`."),
		"analyzers": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "Analyzers that load new synonyms, by index.",
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
				"tokens":        tfkit.Texts("The tokens that it produces from the text today, in order."),
				"from_synonyms": tfkit.Texts("The tokens among them that synonyms added."),
				"expected":      tfkit.Texts("The tokens once the synonyms are loaded; null where they are not known."),
			}},
		},
	}
}
