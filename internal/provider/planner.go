package provider

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/file"
)

// defaultPlanner is the planner file where no planner is configured.
const defaultPlanner = "planner.json"

type plannerBlock struct {
	File *filePlannerBlock `tfsdk:"file"`
}

type filePlannerBlock struct {
	Path types.String `tfsdk:"path"`
}

func plannerSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What shares the traffic out among versions; exactly one of the following. Default: `file` with its default path.",
		Attributes: map[string]schema.Attribute{
			"file": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A JSON file that a router watches. It is replaced atomically, under a lock, and counts its revisions.",
				Attributes: map[string]schema.Attribute{
					"path": optionalString("The file. Default `" + defaultPlanner + "`. Environment: `REMEDIATION_PLANNER_FILE`."),
				},
			},
		},
	}
}

// planner builds the configured planner. It does no I/O.
func (b block) planner() (planner.Planner, error) {
	p := plannerBlock{}
	if b.Planner != nil {
		p = *b.Planner
	}
	var configured []string
	build := b.filePlanner
	for _, kind := range []struct {
		name  string
		set   bool
		build func() (planner.Planner, error)
	}{
		{"file", p.File != nil, b.filePlanner},
	} {
		if kind.set {
			configured, build = append(configured, kind.name), kind.build
		}
	}
	if len(configured) > 1 || (b.Planner != nil && len(configured) == 0) {
		return nil, problemAt("planner", fmt.Sprintf("%d planners are configured", len(configured)),
			fmt.Sprintf("planner has: %s.", strings.Join(append(configured, "no more"), ", ")), "Configure exactly one.")
	}
	return build()
}

func (b block) filePlanner() (planner.Planner, error) {
	var configured types.String
	if b.Planner != nil && b.Planner.File != nil {
		configured = b.Planner.File.Path
	}
	path, err := filepath.Abs(first(configured, "REMEDIATION_PLANNER_FILE", defaultPlanner))
	if err != nil {
		return nil, problemAt("planner.file.path", "The planner file's path can't be made absolute", err.Error(), "Set an absolute path.")
	}
	return file.New(path), nil
}
