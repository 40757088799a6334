package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// verifiedTail is about how many of the newest entries are verified, once per Engine.
const verifiedTail = 2000

// standing says in a sentence what is wrong with the journal: with its newest entries, or compared with what the state
// has seen of it. It is empty if the journal is intact.
func (e *Engine) standing(ctx context.Context, store journal.Store, req Request) (string, error) {
	broken, err := e.verify(ctx, store)
	if err != nil {
		return "", err
	}
	if broken != "" {
		return "The journal was edited: " + broken + ".", nil
	}
	standing, err := journal.Compare(ctx, store, req.Mark)
	if err != nil {
		return "", err
	}
	switch standing {
	case journal.StandingForeign:
		return fmt.Sprintf("The state was saved with the journal %s, and this is another "+
			"journal.", req.Mark.Journal), nil
	case journal.StandingRolledBack:
		return fmt.Sprintf("The state has seen entry %d of the journal, and the journal ends before it: it is an "+
			"older copy.",
			req.Mark.Seq), nil
	case journal.StandingEdited:
		return fmt.Sprintf("Entry %d of the journal is not the one that the state has seen: the journal was rolled "+
			"back and continued, or rewritten.", req.Mark.Seq), nil
	default:
		return "", nil
	}
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
	wrong, err := e.standing(ctx, store, req)
	if wrong == "" || err != nil {
		return "", err
	}
	return wrong + " Apply runs nothing that needs an approval, and nothing whose last execution had not ended when " +
		"the state was saved: neither a used approval nor a second run could be noticed. Point the provider to the " +
		"journal that the state was saved with, or restore the newest backup.", nil
}

// checkJournal refuses what could run twice or on a used approval, if the journal is not intact.
func (e *Engine) checkJournal(ctx context.Context, store journal.Store, req Request, needsApproval bool) error {
	wrong, err := e.standing(ctx, store, req)
	if wrong == "" || err != nil {
		return err
	}
	if !needsApproval && !req.Open {
		return nil
	}
	why := " The execution needs an approval, and it can't be proved that the approval was not used before."
	if req.Open {
		why = " The state's last execution had not ended when the state was saved, and this journal can't tell what " +
			"became of it."
	}
	return &problem.Problem{
		What: "The journal can't be relied on", Why: wrong + why,
		Next: "Nothing has run. Point the provider to the journal that the state was saved with, or restore its " +
			"newest backup. If neither exists, accept this journal, which voids all earlier approvals: " +
			"" + adoptCommand(req),
		Path: []string{"journal"}, Err: ErrJournal,
	}
}

// adoptCommand returns the command that accepts the journal although the state was saved with another one.
func adoptCommand(req Request) string {
	command := "terraform-provider-remediation journal adopt --name YOU --because TEXT"
	if req.Mark.Journal != "" {
		command += " --replaces " + req.Mark.Journal
	}
	return command
}

// checkOrigin refuses to undo or observe an execution on a target other than the one that it changed.
func (e *Engine) checkOrigin(ctx context.Context, req Request, now Review) error {
	origin, err := e.origin(ctx, req.Origin)
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

// origin returns what the journal knows about the target of o's execution. If the journal can't be opened or lacks that
// execution, it returns o, which is what the state knows.
func (e *Engine) origin(ctx context.Context, o Origin) (Origin, error) {
	if o.Execution.Number == 0 {
		return o, nil
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return o, nil //nolint:nilerr // what the state knows is compared
	}
	rec, err := store.Get(ctx, o.Execution.Number)
	switch {
	case errors.Is(err, journal.ErrNotFound), err == nil && rec.Journal != o.Execution.Journal:
		return o, nil
	case err != nil:
		return o, err
	}
	return Origin{Target: rec.Subject.Target, Identity: rec.Identity()}, nil
}
