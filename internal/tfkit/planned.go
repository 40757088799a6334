package tfkit

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// Planned is a planned resource, from the JSON of a saved plan.
type Planned struct {
	// Values are the planned values, and Unknowns marks those that are unknown.
	Values, Unknowns json.RawMessage
	// Operation is "create" or "update".
	Operation string
}

// ErrUnknown reports that an input that the digest covers is not known before apply.
var ErrUnknown = errors.New("an input is not known before apply")

// Binding returns what the digest of a planned execution covers, computed from the planned inputs and from the members
// of preview. It returns ErrUnknown if an input that the digest covers is unknown.
func (r *Resource) Binding(ctx context.Context, p Planned) (approval.Binding, error) {
	d, err := r.plannedDocument(ctx, p)
	if err != nil {
		return approval.Binding{}, err
	}
	req, known, err := r.request(d, p.Operation)
	if err != nil {
		return approval.Binding{}, err
	}
	if !known || req.TriggersUnknown {
		return approval.Binding{}, ErrUnknown
	}
	var preview struct {
		Target   string `json:"target"`
		Command  string `json:"command"`
		Identity string `json:"identity"`
		Content  string `json:"content"`
		Undo     string `json:"undo"`
	}
	if err := d.get(attrPreview, &preview); err != nil {
		return approval.Binding{}, err
	}
	b := engine.Bound{Target: preview.Target, Identity: preview.Identity, Content: preview.Content}
	if preview.Command != "" {
		b.Commands = strings.Split(preview.Command, "\n")
	}
	if preview.Undo != "" {
		b.Undo = json.RawMessage(preview.Undo)
	}
	return engine.Rebound(r.front.Playbook.Metadata(), req, b)
}

// plannedDocument decodes the planned values. An attribute with an unknown part is unknown as a whole, except preview.
func (r *Resource) plannedDocument(ctx context.Context, p Planned) (document, error) {
	var schema resource.SchemaResponse
	r.Schema(ctx, resource.SchemaRequest{}, &schema)
	value, err := codec.Terraform(schema.Schema.Type().TerraformType(ctx), p.Values)
	if err != nil {
		return document{}, err
	}
	d, err := openDocument(value)
	if err != nil {
		return document{}, err
	}
	var unknowns map[string]json.RawMessage
	if err := json.Unmarshal(p.Unknowns, &unknowns); err != nil {
		return document{}, err
	}
	for name, which := range unknowns {
		if t, ok := d.typ.AttributeTypes[name]; ok && name != attrPreview && strings.Contains(string(which), "true") {
			d.values[name] = tftypes.NewValue(t, tftypes.UnknownValue)
		}
	}
	return d, nil
}
