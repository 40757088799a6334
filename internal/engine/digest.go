package engine

import (
	"encoding/json"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Bound contains the members of a digest that a plan shows and a request doesn't contain.
type Bound struct {
	Target, Identity, Content string
	Commands                  []string
	// Undo is JSON, or null.
	Undo json.RawMessage
}

// Rebound returns what the digest of a request covers, as computed from what a plan shows. page is the metadata of the
// request's playbook, and req.Params must be normalized.
func Rebound(page playbook.Metadata, req Request, b Bound) (approval.Binding, error) {
	req.page, req.inputs = page, req.Params
	if err := req.place(); err != nil {
		return approval.Binding{}, err
	}
	s, err := safety(req, nil)
	if err != nil {
		return approval.Binding{}, err
	}
	if len(b.Undo) > 0 {
		s.Undo = b.Undo
	}
	inputs, err := req.ownInputs()
	return approval.Binding{
		Format: approval.DigestFormat, Playbook: req.ActionType, Target: b.Target, Inputs: inputs,
		Triggers: req.Triggers, Commands: b.Commands, Safety: s, Identity: b.Identity, Content: b.Content,
	}, err
}

// Evidence is what the record of a dry run proves about a plan that shows it.
type Evidence struct {
	// Text is the dry run as text. Digest is the one that the record was made for.
	Text, Digest string
	// Identity and Content are computed from the values in the record.
	Identity, Content string
	// Payload is what approvers sign.
	Payload string
	// Binding is what the digest covers. It is wrong for a gate, whose digest covers other inputs than the record
	// contains.
	Binding approval.Binding
	// Required reports that an approval was needed, and Granted that it was given.
	Required, Granted bool
}

// EvidenceOf recomputes what the record shows, and the hashes that the digest contains. It returns journal.ErrDamaged
// for a record that can't be read or that was edited.
func EvidenceOf(rec journal.Record) (Evidence, error) {
	was, err := decoded(rec)
	if err == nil {
		err = journal.Intact([]journal.Record{rec})
	}
	if err != nil {
		return Evidence{}, err
	}
	r := Review{ActionType: rec.Subject.Playbook, Target: rec.Subject.Target, Digest: rec.Intent.Digest}
	r.restore(rec, was)
	r.ApprovalReasons = r.Decision.Reasons
	e := Evidence{Text: r.Text(), Digest: r.Digest, Payload: r.signed(rec.Journal, rec.ID)}
	e.Required, e.Granted = r.Decision.Needed, r.Decision.Shown
	e.Identity, e.Content, err = r.hashes()
	e.Binding = approval.Binding{
		Format: approval.DigestFormat, Playbook: r.ActionType, Target: r.Target, Inputs: rec.Intent.Params,
		Triggers: rec.Intent.Triggers, Commands: r.Commands, Safety: r.safety, Identity: e.Identity, Content: e.Content,
	}
	return e, err
}
