package tfkit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// written returns the playbook's own inputs that are set, as JSON. known is false if one of them is unknown.
func (r *Resource) written(d document) (params json.RawMessage, known bool, err error) {
	set := map[string]any{}
	for name := range r.front.Inputs {
		if !d.known(name) {
			return nil, false, nil
		}
		v, err := codec.Go(d.values[name])
		if err != nil {
			return nil, false, err
		}
		if v != nil {
			set[name] = v
		}
	}
	if r.front.Playbook.Metadata().Gate {
		if !d.known(blockGuardrail) {
			return nil, false, nil
		}
		if set[playbook.InputGuardrails], err = d.writtenGuardrails(); err != nil {
			return nil, false, err
		}
	}
	params, err = json.Marshal(set)
	return params, true, err
}

// params returns the written inputs without those that are at their default or have no effect. Requests, digests, the
// history, and the comparison with the state use these, so an input at its default counts as not set everywhere.
func (r *Resource) params(d document) (params json.RawMessage, known bool, err error) {
	params, known, err = r.written(d)
	if err != nil || !known {
		return nil, known, err
	}
	params, err = r.front.Playbook.Normalize(params)
	return params, true, err
}

// request converts the inputs in d to a request; known is false if an input that decides what runs is unknown.
func (r *Resource) request(d document, operation string) (req engine.Request, known bool, err error) {
	page := r.front.Playbook.Metadata()
	req.ActionType = page.ActionType
	if len(r.unknownInputs(d)) > 0 {
		return req, false, nil
	}
	if req.Params, known, err = r.params(d); err != nil || !known {
		return req, false, err
	}
	req.TriggersUnknown, req.IncidentUnknown = !d.known(attrTriggers), !d.known(attrIncident)
	req.ExpectedDigest = d.text(attrExpectedDigest)
	switch runIf := d.runIf(); {
	case runIf == maybe:
		req.RunIf = engine.RunMaybe
	case !d.null(attrRunIf):
		req.RunIf = engine.RunTrue
	}
	return req, true, d.common(&req, page, operation)
}

// common reads the inputs that all playbooks share into req. It leaves out unknown ones.
func (d document) common(req *engine.Request, page playbook.Metadata, operation string) error {
	if d.known(attrTriggers) {
		if err := d.get(attrTriggers, &req.Triggers); err != nil {
			return err
		}
	}
	if err := d.earlierSteps(req); err != nil {
		return err
	}
	req.Incident = d.text(attrIncident)
	req.OnDestroy = d.text(attrOnDestroy)
	var err error
	if req.Given, err = d.given(); err != nil {
		return err
	}
	if req.Guardrails, err = d.guardrails(page.CanUndo); err != nil {
		return err
	}
	req.Timeout, err = d.timeout(operation)
	return err
}

// earlierSteps reads after into req, without nulls and duplicates.
func (d document) earlierSteps(req *engine.Request) error {
	if req.AfterUnknown = !d.known(attrAfter); req.AfterUnknown {
		return nil
	}
	var digests []*string
	if err := d.get(attrAfter, &digests); err != nil {
		return err
	}
	for _, digest := range digests {
		if digest != nil && !slices.Contains(req.After, *digest) {
			req.After = append(req.After, *digest)
		}
	}
	return nil
}

// wanted says whether run_if allows the playbook to run.
type wanted int

const (
	yes wanted = iota
	no
	maybe // unknown at plan
)

func (d document) runIf() wanted {
	v := d.values[attrRunIf]
	var b bool
	switch {
	case !v.IsKnown():
		return maybe
	case v.IsNull():
		return yes
	case v.As(&b) == nil && b:
		return yes
	default:
		return no
	}
}

// changed reports whether the configuration requests something other than the prior state: a create, other inputs or
// triggers, or an execution that was skipped. Policy (approvals, timeouts, on_destroy) doesn't count, nor does an input
// without effect. A value that is unknown counts as changed.
func (r *Resource) changed(plan, prior document, create bool) bool {
	if create || (prior.text(attrStatus) == statusSkipped && plan.runIf() != no) || !plan.same(prior, attrTriggers) {
		return true
	}
	same := true
	for name := range r.front.Inputs {
		same = same && plan.same(prior, name)
	}
	if r.front.Playbook.Metadata().Gate {
		same = same && plan.same(prior, blockGuardrail)
	}
	if same {
		return false
	}
	now, known, err := r.params(plan)
	if err != nil || !known {
		return true
	}
	was, known, err := r.params(prior)
	return err != nil || !known || !bytes.Equal(now, was)
}

// unknownAsNull replaces unknown values with null. One unknown member, such as whether an approval is granted, must not
// keep apply from comparing the rest with what was shown.
func unknownAsNull(_ *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
	if v.IsKnown() {
		return v, nil
	}
	return tftypes.NewValue(v.Type(), nil), nil
}

// reviewed returns what plan showed, or nil if plan had no preview.
func (r *Resource) reviewed(d document) (*engine.Reviewed, error) {
	v, err := tftypes.Transform(d.values[attrPreview], unknownAsNull)
	if err != nil {
		return nil, err
	}
	d = d.clone()
	d.values[attrPreview] = v
	all := map[string]any{}
	if err := d.get(attrPreview, &all); err != nil {
		return nil, err
	}
	var named struct {
		Record  int64  `json:"record"`
		Digest  string `json:"digest"`
		Target  string `json:"target"`
		Command string `json:"command"`
	}
	if err := d.get(attrPreview, &named); err != nil {
		return nil, err
	}
	if named.Digest == "" {
		return nil, nil //nolint:nilnil // nothing was reviewed, and that is not an error
	}
	was := &engine.Reviewed{Record: named.Record, Digest: named.Digest, Target: named.Target,
		Facts: map[string]any{}}
	if named.Command != "" {
		was.Commands = strings.Split(named.Command, "\n")
	}
	for name := range r.front.Preview {
		was.Facts[name] = all[name]
	}
	return was, nil
}
