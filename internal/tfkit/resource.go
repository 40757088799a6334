package tfkit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Resource implements the resource of every playbook.
type Resource struct {
	front   Front
	runtime *Runtime
}

var (
	_ resource.ResourceWithConfigure      = &Resource{}
	_ resource.ResourceWithValidateConfig = &Resource{}
	_ resource.ResourceWithModifyPlan     = &Resource{}
	_ resource.ResourceWithImportState    = &Resource{}
)

// NewResource returns the constructor that the provider registers.
func NewResource(front Front) func() resource.Resource {
	return func() resource.Resource { return &Resource{front: front} }
}

// Metadata implements resource.Resource.
func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + r.front.Name
}

// Schema implements resource.Resource.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	attributes := commonInputs()
	maps.Copy(attributes, r.front.Inputs) // incident_id is an input of its own where the incident is the target
	maps.Copy(attributes, computedAttributes(r.front))
	maps.Copy(attributes, r.driftAttributes())
	maps.Copy(attributes, r.front.Results)
	rails := guardrailBlock()
	if r.front.Playbook.Metadata().Gate {
		rails.MarkdownDescription = gateGuardrails
	}
	resp.Schema = schema.Schema{Attributes: attributes, MarkdownDescription: r.description(),
		Blocks: map[string]schema.Block{
			blockApproval: approvalBlock(), blockGuardrail: rails, blockTimeouts: timeoutsBlock(),
		}}
}

func (r *Resource) description() string {
	e := r.front.Playbook.Metadata()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nPlaybook `%s`: %s\n\n", r.front.Description, e.ActionType, e.Summary)
	fmt.Fprintf(&b, "- Use it for: %s.\n- Estimate: %s; %s.\n- Approval: %s.\n- Undo: %s.\n",
		strings.Join(e.Use, "; "), e.Duration, e.Cost, e.Approval, e.Undo)
	return b.String()
}

// Configure implements resource.ResourceWithConfigure.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if req.ProviderData == nil {
		return // Terraform validates before it configures the provider
	}
	runtime, ok := req.ProviderData.(*Runtime)
	if !ok {
		resp.Diagnostics.AddError("Unexpected provider data",
			fmt.Sprintf("Got %T. This is a bug in the provider.", req.ProviderData))
		return
	}
	r.runtime = runtime
}

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest,
	resp *resource.ValidateConfigResponse) {
	config, err := openDocument(req.Config.Raw)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the configuration", r.has)
		return
	}
	if config.text(attrOnDestroy) == onDestroyRollback && !r.front.Playbook.Metadata().CanUndo {
		metadata := r.front.Playbook.Metadata()
		resp.Diagnostics.AddAttributeError(path.Root(attrOnDestroy), metadata.ActionType+" can't be undone",
			fmt.Sprintf("on_destroy is \"rollback\". %s\n\nSet it to \"keep\", which only removes the resource "+
				"from the state.", noUndo(metadata)))
	}
	// Almost every configuration is right, and then nobody has to know.
	refused := sync.OnceValue(func() []string { return r.refusedBySchema(ctx, req.Config) })
	if err := checkApprovals(config); err != nil && !slices.Contains(refused(), blockApproval) {
		addError(&resp.Diagnostics, err, "Invalid approvals", r.has)
	}
	if err := r.checkGuardrails(config); err != nil && !slices.Contains(refused(), blockGuardrail) {
		addError(&resp.Diagnostics, err, "Invalid guardrails", r.has)
	}
	if params, known, err := r.written(config); err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the inputs", r.has)
	} else if known {
		if err := r.front.Playbook.Check(params); err != nil && !isRefused(refused(), err) {
			addError(&resp.Diagnostics, err, "Invalid inputs", r.has)
		}
	}
}

// noUndo returns why a playbook can't be undone.
func noUndo(metadata playbook.Metadata) string {
	if metadata.Undo == "none" {
		return "There is no action that undoes " + metadata.ActionType + "."
	}
	return fmt.Sprintf("Undo of %s: %s.", metadata.ActionType, metadata.Undo)
}

// has reports whether the resource has an input of that name, as an attribute or a block.
func (r *Resource) has(name string) bool {
	_, own := r.front.Inputs[name]
	return own || slices.Contains(commonNames, name) || (r.front.Watched && name == attrOnDrift)
}
