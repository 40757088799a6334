package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// verifiedTail is about how many of the newest entries are verified, once per Engine.
const verifiedTail = 2000

// standing says in a sentence what is wrong with the journal: with its newest entries, or compared with what the state
// has seen of it. It is empty if the journal is intact. The mark is the one that the journal lacks.
func (e *Engine) standing(ctx context.Context, store journal.Store, req Request) (string, journal.Mark, error) {
	broken, err := e.verify(ctx, store)
	if err != nil {
		return "", journal.Mark{}, err
	}
	if broken != "" {
		return "The journal was edited: " + broken + ".", req.Mark, nil
	}
	return e.missing(ctx, store, req)
}

// missing says in a sentence how the journal differs from what the state has seen of it, and which mark it lacks.
func (e *Engine) missing(ctx context.Context, store journal.Store, req Request) (string, journal.Mark, error) {
	for _, m := range e.marks(req) {
		standing, err := journal.Compare(ctx, store, m)
		if err != nil {
			return "", m, err
		}
		switch standing {
		case journal.StandingForeign:
			return fmt.Sprintf("The state was saved with the journal %s, and this is another "+
				"journal.", m.Journal), m, nil
		case journal.StandingRolledBack:
			return fmt.Sprintf("The state has seen entry %d of the journal, and the journal ends before it: it is an "+
				"older copy.", m.Seq), m, nil
		case journal.StandingEdited:
			return fmt.Sprintf("Entry %d of the journal is not the one that the state has seen: the journal was "+
				"rolled back and continued, or rewritten.", m.Seq), m, nil
		case journal.StandingHolds:
		}
	}
	if !req.Creates {
		return "", journal.Mark{}, nil // see checkState
	}
	for _, ref := range e.executions() {
		m := journal.Mark{Journal: ref.Journal}
		if lacks, err := journal.Lacks(ctx, store, ref, m); err != nil || lacks {
			return fmt.Sprintf("The state names execution %s, and the journal has no such execution: it is an older "+
				"copy, or the state was edited.", ref), m, err
		}
	}
	return "", journal.Mark{}, nil
}

// SawExecution keeps the newest execution that the state of a resource names. It proves less than a mark, and Terraform
// shows it where it shows no mark: if a tainted resource is replaced without a refresh.
func (e *Engine) SawExecution(ref journal.Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ref.Journal == "" || ref.Number < e.named[ref.Journal].Number {
		return
	}
	if e.named == nil {
		e.named = map[string]journal.Ref{}
	}
	e.named[ref.Journal] = ref
}

// executions returns the executions that states in this process name, sorted by journal.
func (e *Engine) executions() []journal.Ref {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]journal.Ref, 0, len(e.named))
	for _, id := range slices.Sorted(maps.Keys(e.named)) {
		all = append(all, e.named[id])
	}
	return all
}

// Saw keeps the newest journal entry that the state of a resource has seen. Terraform creates the replacement of a
// resource without that state. The journal is compared with it all the same.
func (e *Engine) Saw(m journal.Mark) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.Journal == "" || m.Seq < e.seen[m.Journal].Seq {
		return
	}
	if e.seen == nil {
		e.seen = map[string]journal.Mark{}
	}
	e.seen[m.Journal] = m
}

// marks returns the entries that the journal must have for the request: the one that its state has seen, or for a
// create, those that other states in this process have seen, sorted by journal.
func (e *Engine) marks(req Request) []journal.Mark {
	if !req.Creates {
		return []journal.Mark{req.Mark}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []journal.Mark{req.Mark}
	for _, id := range slices.Sorted(maps.Keys(e.seen)) {
		all = append(all, e.seen[id])
	}
	for _, id := range slices.Sorted(maps.Keys(e.named)) {
		if _, known := e.seen[id]; !known {
			all = append(all, journal.Mark{Journal: id, Head: journal.Head{Seq: e.named[id].Number}})
		}
	}
	return all
}

// unprovenApproval says why an execution that needs an approval is refused.
const unprovenApproval = " The execution needs an approval, and it can't be proved that the approval was not used " +
	"before."

// checkSeen refuses the plan of a create that needs an approval, if the journal lacks what other states have seen. Its
// apply may run in a process that has not seen the replaced resource.
func (e *Engine) checkSeen(ctx context.Context, store journal.Store, req Request, needsApproval bool) error {
	if !req.Creates || !needsApproval {
		return nil
	}
	wrong, lacks, err := e.missing(ctx, store, req)
	if wrong == "" || err != nil {
		return err
	}
	return unreliable(lacks, wrong+unprovenApproval)
}

// verify checks the hash chain of the newest entries, once per Engine, and returns what is wrong with it, or "".
func (e *Engine) verify(ctx context.Context, store journal.Store) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.verified {
		return e.broken, nil
	}
	chain, err := journal.VerifyTail(ctx, store, verifiedTail)
	if err != nil {
		return "", err
	}
	e.verified, e.broken = true, chain.Broken
	return e.broken, nil
}

// journalWarning warns the reader of a plan about what apply will refuse.
func (e *Engine) journalWarning(ctx context.Context, store journal.Store, req Request) (string, error) {
	wrong, _, err := e.standing(ctx, store, req)
	if wrong == "" || err != nil {
		return "", err
	}
	return wrong + " Apply runs nothing that needs an approval, and nothing whose last execution had not ended when " +
		"the state was saved: neither a used approval nor a second run could be noticed. Point the provider to the " +
		"journal that the state was saved with, or restore the newest backup.", nil
}

// checkJournal refuses what could run twice or on a used approval, if the journal is not intact.
func (e *Engine) checkJournal(ctx context.Context, store journal.Store, req Request, needsApproval bool) error {
	wrong, lacks, err := e.standing(ctx, store, req)
	if wrong == "" || err != nil {
		return err
	}
	if !needsApproval && !req.Open {
		return nil
	}
	why := unprovenApproval
	if req.Open {
		why = " The state's last execution had not ended when the state was saved, and this journal does not " +
			"show its outcome."
	}
	return unreliable(lacks, wrong+why)
}

// unreliable refuses because of a journal that is not intact.
func unreliable(lacks journal.Mark, why string) error {
	return &problem.Problem{
		What: "The journal can't be relied on", Why: why,
		Next: "Nothing has run. Point the provider to the journal that the state was saved with, or restore its " +
			"newest backup. If neither exists, accept this journal, which voids all earlier approvals: " +
			adoptCommand(lacks),
		Path: []string{"journal"}, Err: ErrJournal,
	}
}

// adoptCommand returns the command that accepts the journal although the state was saved with another one.
func adoptCommand(lacks journal.Mark) string {
	command := "terraform-provider-remediation journal adopt --name YOU --because TEXT"
	if lacks.Journal != "" {
		command += " --replaces " + lacks.Journal
	}
	return command
}

// checkOrigin refuses to undo or observe an execution on a target other than the one that it changed.
func (e *Engine) checkOrigin(ctx context.Context, req Request, now Review) error {
	origin, rec, err := e.origin(ctx, req.Origin)
	if err == nil && rec != nil {
		err = sameUndo(req, *rec)
	}
	if err != nil {
		return err
	}
	var difference string
	switch {
	case origin.Target != "" && origin.Target != now.Target:
		difference = fmt.Sprintf("It changed %s, and the provider points to %s now.", origin.Target, now.Target)
	case origin.Identity != "" && now.IdentityHash != "" && origin.Identity != now.IdentityHash:
		difference = fmt.Sprintf("It changed %s, and that name refers to something else now.", origin.Target)
	default:
		return nil
	}
	return &problem.Problem{
		What: "The provider points to another target than the execution changed", Why: difference,
		Next: "Nothing has run. Point the provider to that target again. To forget the resource without an undo, use " +
			"a removed block with lifecycle { destroy = false }.",
		Err: ErrTarget,
	}
}

// checkState refuses a request whose state names an execution that the journal lacks, although the state was saved with
// this journal: the state was edited. An undo would restore what only the state says. A journal that can't be read is
// reported elsewhere.
func (e *Engine) checkState(ctx context.Context, req Request) error {
	if req.Execution.Number == 0 {
		return nil
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	if lacks, err := journal.Lacks(ctx, store, req.Execution, req.Mark); err != nil || !lacks {
		return nil //nolint:nilerr // see above
	}
	return &problem.Problem{
		What: fmt.Sprintf("The state names execution %s, and the journal has no such execution", req.Execution),
		Why: "The state was saved with this journal. Either id was edited in the state, or the journal was restored " +
			"from an older copy.",
		Next: "Nothing has run. Restore a state that Terraform has saved, or the journal's newest backup. Or remove " +
			"the resource from the state, and import an execution that the journal has. To forget the resource " +
			"without an undo, use a removed block with lifecycle { destroy = false }.",
		Path: []string{"id"}, Err: ErrJournal,
	}
}

// sameUndo refuses an undo other than the one that the journal has for the execution. A state can be edited.
func sameUndo(req Request, rec journal.Record) error {
	why := fmt.Sprintf("The journal has no undo for execution %s.", rec.Ref())
	if rec.Rollback != nil {
		asked, err := approval.Hash(req.Params)
		recorded, other := approval.Hash(rec.Rollback.Params)
		if err = errors.Join(err, other); err != nil {
			return err
		}
		if rec.Rollback.Type == req.ActionType && asked == recorded {
			return nil
		}
		why = fmt.Sprintf("The state has %s with %s, and the journal has %s with %s for execution %s.", req.ActionType,
			req.Params, rec.Rollback.Type, rec.Rollback.Params, rec.Ref())
	}
	return &problem.Problem{
		What: "The undo in the state is not the one in the journal", Why: why,
		Next: "Nothing has run. Restore a state that Terraform has saved. To forget the resource without an undo, " +
			"use a removed block with lifecycle { destroy = false }.",
		Err: ErrTarget,
	}
}

// origin returns what the journal knows about the target of o's execution, and the execution's record. If the journal
// can't be opened or lacks that execution, it returns o, which is what the state knows, and nil.
func (e *Engine) origin(ctx context.Context, o Origin) (Origin, *journal.Record, error) {
	if o.Execution.Number == 0 {
		return o, nil, nil
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return o, nil, nil //nolint:nilerr // what the state knows is compared
	}
	rec, err := store.Get(ctx, o.Execution.Number)
	switch {
	case errors.Is(err, journal.ErrNotFound), err == nil && rec.Journal != o.Execution.Journal:
		return o, nil, nil
	case err != nil:
		return o, nil, err
	}
	return Origin{Target: rec.Subject.Target, Identity: rec.Identity()}, &rec, nil
}
