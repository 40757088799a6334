package tfkit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// params returns the playbook's own inputs that are set, as JSON; known is false where one of them is unknown.
func (r *Resource) params(d document) (params json.RawMessage, known bool, err error) {
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
	params, err = json.Marshal(set)
	return params, true, err
}

// request turns the inputs in d into a request; known is false where one that decides what runs is unknown.
func (r *Resource) request(d document, timeout string) (req engine.Request, known bool, err error) {
	req.ActionType = r.front.Playbook.Metadata().ActionType
	if req.Params, known, err = r.params(d); err != nil || !known {
		return req, false, err
	}
	if !d.known(attrTriggers) || !d.known(attrIncident) {
		return req, false, nil
	}
	if err := d.get(attrTriggers, &req.Triggers); err != nil {
		return req, false, err
	}
	req.Incident = d.text(attrIncident)
	req.ExpectedDigest, req.OnDestroy = d.text(attrExpectedDigest), d.text(attrOnDestroy)
	if req.Given, err = d.given(); err != nil {
		return req, false, err
	}
	if req.Guardrails, err = r.guardrails(d); err != nil {
		return req, false, err
	}
	req.Timeout, err = d.timeout(timeout)
	return req, true, err
}

// wanted is whether run_if lets the playbook run.
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

// changed tells whether the wish differs from what the prior state was made for: a create, other inputs or triggers, or
// an execution that was skipped. Policy (approvals, timeouts, on_destroy) is no part of it. A value that is unknown
// counts as changed.
func (r *Resource) changed(wish, prior document, create bool) bool {
	if create || (prior.text(attrStatus) == statusSkipped && wish.runIf() != no) || !wish.same(prior, attrTriggers) ||
		r.reconciles(wish, prior) {
		return true
	}
	for name := range r.front.Inputs {
		if !wish.same(prior, name) {
			return true
		}
	}
	return false
}

// reviewed reads back what plan showed; nil where plan could not tell.
func (r *Resource) reviewed(d document) (*engine.Reviewed, error) {
	v := d.values[attrPreview]
	if v.IsNull() || !v.IsFullyKnown() {
		return nil, nil //nolint:nilnil // nothing was reviewed, and that is no error
	}
	all := map[string]any{}
	if err := d.get(attrPreview, &all); err != nil {
		return nil, err
	}
	var named struct {
		Record   int64    `json:"record"`
		Digest   string   `json:"digest"`
		Target   string   `json:"target"`
		Command  string   `json:"command"`
		Commands []string `json:"commands"`
	}
	if err := d.get(attrPreview, &named); err != nil {
		return nil, err
	}
	was := &engine.Reviewed{Record: named.Record, Digest: named.Digest, Target: named.Target, Commands: named.Commands,
		Facts: map[string]any{}}
	if named.Command != "" {
		was.Commands = []string{named.Command}
	}
	for name := range r.front.Preview {
		was.Facts[name] = all[name]
	}
	return was, nil
}

// previewValue is a review as the preview attribute shows it.
func previewValue(t tftypes.Type, review engine.Review) (tftypes.Value, error) {
	own := map[string]any{}
	facts, err := json.Marshal(review.Facts)
	if err != nil {
		return tftypes.Value{}, err
	}
	if err := json.Unmarshal(facts, &own); err != nil {
		return tftypes.Value{}, fmt.Errorf("the facts of %s are no object: %w", review.ActionType, err)
	}
	if len(review.Commands) == 1 {
		own["command"] = review.Commands[0]
	} else {
		own["commands"] = review.Commands
	}
	own["changes"] = review.Changes
	own["estimated_duration_seconds"] = int64(review.Duration / time.Second)
	own["estimated_cost_usd"] = review.CostUSD
	own["risk"] = review.Risk
	own["affected"] = review.Affected
	own["approval_required"] = len(review.ApprovalReasons) > 0
	own["approval_reasons"] = review.ApprovalReasons
	own["rollback_available"] = review.RollbackAvailable
	own["target"] = review.Target
	own["digest"] = review.Digest
	own["identity"], own["content"] = review.IdentityHash, review.ContentHash
	if own["record"] = any(nil); review.Record != 0 {
		own["record"] = review.Record
	}
	own["approval_payload"] = optional(review.Decision.Payload)
	return codec.Terraform(t, own)
}
