package synonyms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// restore undoes a reindex: it points the alias back to the old index. What clients have written since then is in the
// new index only, which is kept.
type restore struct{ action }

// Preview implements playbook.Logic.
func (r restore) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	from, err := r.from(ctx)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	to := r.params.RestoreIndex
	identity, err := r.identityOf(ctx, from)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	facts := Facts{Way: WayRestore, WayReason: "a reindex is undone", Indices: []string{from, to},
		Analyzers: []Analyzers{}, Probes: []Probe{}}
	p := playbook.Preview{
		Summary: fmt.Sprintf("Will point %s back at %s", r.params.IndexName, to),
		Commands: []string{fmt.Sprintf(`PUT /%s/_settings {"index.blocks.write":null}`, to),
			fmt.Sprintf("POST /_aliases (in one call: every alias of %s moves to %s)", from, to)},
		Duration: estimate, Risk: playbook.RiskHigh, Affected: []string{"elasticsearch", from, to}, Undo: "none",
		Identity: identity, Locks: elastic.Targets(r.elastic.Name(), from, to),
	}
	p.Changes = []string{p.Summary, fmt.Sprintf("What was written since the reindex is in %s only, which stays", from),
		"No downtime"}
	return p, facts, nil
}

// from returns the index to which the alias refers now.
func (r restore) from(ctx context.Context) (string, error) {
	refuse := func(why, next string) error {
		return &problem.Problem{What: "The reindex of " + r.params.IndexName + " can't be undone", Why: why, Next: next,
			Path: []string{"on_destroy"}, Err: ErrNoWay}
	}
	gone, err := r.elastic.IsGone(ctx, r.params.RestoreIndex)
	if err != nil {
		return "", err
	}
	if gone {
		return "", refuse(fmt.Sprintf("The old index %s no longer exists.", r.params.RestoreIndex),
			"Set on_destroy to keep.")
	}
	now, err := r.elastic.AliasTargets(ctx, r.params.IndexName)
	switch {
	case err != nil && !elastic.IsMissing(err):
		return "", err
	case slices.Contains(now, r.params.RestoreIndex):
		return "", refuse(fmt.Sprintf("It already refers to %s.", r.params.RestoreIndex), "Set on_destroy to keep.")
	case len(now) != 1:
		return "", refuse(fmt.Sprintf("It is no longer an alias of one index, but of %d.", len(now)),
			"Point it back by hand.")
	}
	return now[0], nil
}

// Dispatch implements playbook.Logic.
func (r restore) Dispatch(_ context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	if err := facts.check(); err != nil {
		return nil, err
	}
	return restoreWork{restore: r, job: job, facts: facts}, nil
}

// Adopt implements playbook.Logic. The alias shows whether the switch was made.
func (r restore) Adopt(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	now, err := r.elastic.AliasTargets(ctx, r.params.IndexName)
	if err != nil {
		return nil, later(err)
	}
	if !slices.Contains(now, r.params.RestoreIndex) {
		return nil, playbook.ErrNeverBegan
	}
	return restoreWork{restore: r, job: job, facts: facts, done: true}, facts.check()
}

type restoreWork struct {
	restore
	job   playbook.Job
	facts Facts
	done  bool
}

// RemoteID implements playbook.Work.
func (w restoreWork) RemoteID() string { return string(WayRestore) }

// Wait implements playbook.Work.
func (w restoreWork) Wait(ctx context.Context) (playbook.Report, error) {
	ctx = elastic.WithOrigin(ctx, w.job.Name)
	from, to := w.facts.Indices[0], w.facts.Indices[1]
	out := playbook.Report{Details: map[string]string{"way": string(WayRestore), "old_index": to, "new_index": from}}
	if !w.done {
		if err := w.elastic.AllowWrites(ctx, to); err != nil {
			return out, err
		}
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		if err := w.elastic.MoveAliases(ctx, from, to, ""); err != nil {
			return out, uncertain(err)
		}
	}
	out.Message = fmt.Sprintf("%s refers to %s again", w.params.IndexName, to)
	out.Identity = w.identityAfter(ctx, to)
	return out, nil
}

// uncertain adds playbook.ErrUncertain to the error for a change whose answer was lost.
func uncertain(err error) error {
	if errors.Is(err, elastic.ErrUncertain) {
		return errors.Join(playbook.ErrUncertain, err)
	}
	return err
}
