package commands

import (
	"context"
	"errors"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// undoSearch is how many dry runs of the undo's playbook on the target are searched, the newest ones.
const undoSearch = 1000

// ofUndo completes a destroy with the dry run of its undo. The plan's JSON doesn't contain that dry run, so it is taken
// from the journal, and its digest is computed from the record.
func ofUndo(ctx context.Context, store journal.Store, c planjson.Change) (planjson.Change, seen, error) {
	if store == nil {
		return c, seen{why: "its destroy runs an undo, which only the journal shows"}, nil
	}
	dryRuns, err := store.Find(ctx, journal.Filter{Playbook: c.Undo.Type, Target: c.Preview.Target, DryRuns: true,
		Limit: undoSearch})
	if err != nil {
		return c, seen{}, err
	}
	var newest journal.Record
	for _, rec := range dryRuns {
		if engine.UndoOf(rec) == c.Execution && rec.Status == journal.StatusDryRunOK {
			newest = rec
		}
	}
	if newest.ID == 0 {
		return c, seen{why: "the journal has no dry run of the undo of execution " + c.Execution +
			". Plan the destroy again"}, nil
	}
	proof, err := engine.EvidenceOf(newest)
	if errors.Is(err, journal.ErrDamaged) {
		return c, seen{why: "its record in the journal was edited"}, nil
	}
	if err != nil {
		return c, seen{}, err
	}
	c.DryRun, c.Preview.Record = proof.Text, newest.ID
	c.Preview.Digest, c.Preview.Payload = proof.Digest, proof.Payload
	c.Preview.Identity, c.Preview.Content = proof.Identity, proof.Content
	switch {
	case !proof.Required:
		c.Approval = planjson.NotNeeded
	case proof.Granted:
		c.Approval = planjson.Given
	default:
		c.Approval = planjson.Missing
	}
	s := seen{covered: proof.Binding}
	s.why, err = contradiction(c, proof.Binding)
	return c, s, err
}
