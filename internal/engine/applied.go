package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// searched is how many dry runs at most are compared with a saved plan.
const searched = 1000

// applied says whether a plan is made inside an apply, and what the applied plan shows. Terraform plans every resource
// again during apply, and reports a known value that changed as "a bug in the provider".
type applied struct {
	yes bool
	// record is the record that the applied plan shows, or nil if it shows none.
	record *journal.Record
	// elsewhere is the record that the applied plan shows if the plan was made in another folder, in which this request
	// has another target. Nil otherwise.
	elsewhere *journal.Record
	// lost reports that the applied plan shows a record that the journal doesn't have.
	lost bool
}

// applied finds out whether this plan is made inside an apply. It looks at the command of the parent process, because
// neither the protocol nor the plan says so.
func (p *planning) applied(ctx context.Context) (applied, error) {
	t := p.engine.cfg.Terraform
	if t.Command == "test" {
		return p.duringTest(ctx)
	}
	if !t.Applies() {
		return applied{}, nil
	}
	dryRuns, err := p.dryRuns(ctx)
	if err != nil {
		return applied{}, err
	}
	dryRuns = p.nearestLast(dryRuns)
	if t.PlanFile == "" {
		return p.sameRun(dryRuns), nil
	}
	saved, err := p.engine.savedPlan()
	if err != nil {
		return p.likely(dryRuns), nil //nolint:nilerr // it is encrypted or gone: the newest record is the best guess
	}
	for i := len(dryRuns) - 1; i >= 0; i-- {
		if saved.Names(dryRuns[i].ID, dryRuns[i].Intent.Digest) || namesOpen(saved, dryRuns[i]) {
			return applied{yes: true, record: &dryRuns[i]}, nil
		}
	}
	return p.unnamed(ctx, saved)
}

// dryRuns returns the newest dry runs of the request. Those made before an incident was known come first: another
// resource may have made them, and searches begin at the end.
func (p *planning) dryRuns(ctx context.Context) ([]journal.Record, error) {
	own, err := p.store.Find(ctx, journal.Filter{Request: p.about.Request, DryRuns: true, Limit: searched})
	if err != nil {
		return nil, err
	}
	before, own := apart(own, openIncident)
	if p.req.Incident != "" {
		without := p.req
		without.Incident = ""
		about, err := subject(without, *p.review)
		if err != nil {
			return nil, err
		}
		others, err := p.store.Find(ctx, journal.Filter{Request: about.Request, DryRuns: true, Limit: searched})
		if err != nil {
			return nil, err
		}
		before, _ = apart(others, openIncident)
	}
	return append(before, own...), nil
}

// nearestLast sorts dry runs of the same request, because the searches begin at the end. Several resources can make the
// request: with other triggers, or at another place in a chain.
func (p *planning) nearestLast(dryRuns []journal.Record) []journal.Record {
	const place, open, triggers = 1, 2, 4
	var byNearness [place + open + triggers][]journal.Record
	for _, rec := range dryRuns {
		n := 0
		if p.samePlace(rec) {
			n = place
		}
		switch {
		case openRecord(rec):
			n += open
		case maps.Equal(rec.Intent.Triggers, p.req.Triggers):
			n += triggers
		}
		byNearness[n] = append(byNearness[n], rec)
	}
	return slices.Concat(byNearness[:]...)
}

// samePlace reports whether the record was made at this place in a chain, and with run_if set or not as in this plan.
func (p *planning) samePlace(rec journal.Record) bool {
	was, err := decoded(rec)
	return err == nil && slices.Equal(was.Chain.After, p.review.chain.After) &&
		was.Chain.Conditional == p.review.chain.Conditional
}

// apart returns the records that have a property, and those that don't.
func apart(records []journal.Record, has func(journal.Record) bool) (with, without []journal.Record) {
	for _, rec := range records {
		if has(rec) {
			with = append(with, rec)
		} else {
			without = append(without, rec)
		}
	}
	return with, without
}

// openIncident reports whether the record was made before its incident was known.
func openIncident(rec journal.Record) bool {
	was, err := decoded(rec)
	return err == nil && was.Chain.OpenIncident
}

// openRecord reports whether the record was made before its triggers were known.
func openRecord(rec journal.Record) bool {
	was, err := decoded(rec)
	return err == nil && was.Chain.Open
}

// namesOpen reports whether the plan shows a record by its content hash instead of its digest, because triggers were
// unknown.
func namesOpen(saved proc.SavedPlan, rec journal.Record) bool {
	was, err := decoded(rec)
	return err == nil && was.Chain.Open && saved.Names(rec.ID, was.ContentHash)
}

// sameAs reports whether the record shows what would run now. Triggers that were unknown when it was made are not
// compared.
func (p *planning) sameAs(rec journal.Record, was shown) (bool, error) {
	if !was.Chain.Open {
		return rec.Intent.Digest == p.review.Digest, nil
	}
	open, req := *p.review, p.req
	req.Triggers = nil
	err := open.bind(req)
	return rec.Intent.Digest == open.Digest, err
}

// sameRun finds the record for an apply without a saved plan: another process recorded the same request in the same run
// of Terraform.
func (p *planning) sameRun(dryRuns []journal.Record) applied {
	cfg := p.engine.cfg
	for i := len(dryRuns) - 1; i >= 0; i-- {
		rec := dryRuns[i]
		if cfg.Terraform.Session != "" && rec.Intent.Session == cfg.Terraform.Session && rec.Holder != cfg.Self &&
			rec.Intent.Configuration == cfg.Configuration && rec.Status == journal.StatusDryRunOK {
			return applied{yes: true, record: &dryRuns[i]}
		}
	}
	return applied{}
}

// duringTest is applied for "terraform test", which plans and applies in one process: nothing distinguishes a plan
// inside an apply from the plan of the next run block. If the target has changed since this test planned the request,
// and no execution in the journal changed it, the plan counts as one inside an apply, which refuses in the provider's
// own words.
func (p *planning) duringTest(ctx context.Context) (applied, error) {
	newest, err := p.store.Find(ctx, journal.Filter{Request: p.about.Request, All: true, Limit: 1})
	if err != nil || p.review.Digest == "" {
		return applied{}, err
	}
	found := p.sameRun(newest)
	if !found.yes || found.record.Intent.Digest == p.review.Digest || openRecord(*found.record) ||
		openIncident(*found.record) || !p.samePlace(*found.record) {
		return applied{}, nil
	}
	last, err := p.store.Find(ctx, journal.Filter{Target: p.about.Target, Limit: 1})
	if err != nil || len(last) > 0 && last[0].ID > found.record.ID {
		return applied{}, err
	}
	return found, nil
}

// likely returns the newest record with the same triggers. It is for a saved plan that can't be read.
func (p *planning) likely(dryRuns []journal.Record) applied {
	for i := len(dryRuns) - 1; i >= 0; i-- {
		if rec := dryRuns[i]; rec.Status == journal.StatusDryRunOK && maps.Equal(rec.Intent.Triggers, p.req.Triggers) {
			return applied{yes: true, record: &dryRuns[i]}
		}
	}
	return applied{}
}

// unnamed says why the saved plan names no record of this request. The plan was recorded in another journal if it
// shows this digest, or records of which this journal has none. It was made in another folder if it names a record of
// the same request on that folder's target. Otherwise, the plan could not preview this resource.
func (p *planning) unnamed(ctx context.Context, saved proc.SavedPlan) (applied, error) {
	here := applied{yes: true}
	if saved.Shows(p.review.Digest) {
		here.lost = p.review.Digest != ""
		return here, nil
	}
	if !saved.Previews() {
		return here, nil
	}
	all, err := p.store.Find(ctx, journal.Filter{DryRuns: true, Limit: searched})
	if err != nil {
		return here, err
	}
	here.lost = true
	for i, rec := range all {
		if !saved.Names(rec.ID, rec.Intent.Digest) && !namesOpen(saved, rec) {
			continue
		}
		here.lost = false
		if p.elsewhere(rec) {
			here.elsewhere = &all[i]
		}
	}
	return here, nil
}

// elsewhere reports whether the record is about the same request in another folder, where its target has another name.
func (p *planning) elsewhere(rec journal.Record) bool {
	there, here := rec.Intent.Folder, p.engine.cfg.Folder
	if there == "" || here == "" || there == here ||
		strings.ReplaceAll(rec.Subject.Target, there, here) != p.review.Target {
		return false
	}
	about, err := subject(p.req, Review{Target: rec.Subject.Target})
	return err == nil && about.Request == rec.Subject.Request
}

// savedPlan reads the saved plan that the parent applies, once.
func (e *Engine) savedPlan() (proc.SavedPlan, error) {
	if e.cfg.Terraform.PlanFile == "" {
		return proc.SavedPlan{}, errors.New("the parent process applies no saved plan")
	}
	e.planOnce.Do(func() { e.plan, e.planErr = proc.ReadPlan(e.cfg.Terraform.PlanFile) })
	return e.plan, e.planErr
}

// insideApply restores what the applied plan shows from its record, even if the record is old, or the policy or the
// approvals have changed: apply decides with the current ones. If the target changed, or the journal lacks the record,
// the plan is refused.
func (p *planning) insideApply(ctx context.Context, inside applied) (refused, err error) {
	rec := inside.record
	switch {
	case inside.elsewhere != nil:
		return otherFolder(*inside.elsewhere, p.review.Target, p.engine.cfg.Folder), nil
	case rec == nil && inside.lost:
		return lostRecord(p.req.ActionType), nil
	case rec == nil && p.lookErr != nil:
		return nil, nil //nolint:nilerr // the caller returns the error
	case rec == nil: // the plan could not preview this resource
		return nil, p.engine.decide(ctx, p.req, p.review, shownBy{})
	case p.lookErr != nil:
		return outOfSight(p.lookErr), nil
	}
	was, err := decoded(*rec)
	if err != nil {
		return nil, err
	}
	if same, err := p.sameAs(*rec, was); err != nil {
		return nil, err
	} else if !same {
		if skipped := p.engine.skippedBefore(ctx, p.req); skipped != nil {
			return skipped, nil
		}
		return movedProblem(leavesOf(rec.Subject.Target, rec.Intent, was), *p.review, p.req), nil
	}
	if err := p.engine.decide(ctx, p.req, p.review, shownBy{record: rec.ID}); err != nil {
		return nil, err
	}
	p.review.restore(*rec, was)
	p.review.asOf(*rec)
	return nil, nil
}

// otherFolder returns the error for a plan that is applied in another folder than it was made in.
func otherFolder(planned journal.Record, target, folder string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The plan of %s was made in another folder", planned.Subject.Playbook),
		Why: fmt.Sprintf("It was made in %s, and shows a change of %s. In %s the same configuration names %s, which "+
			"was not reviewed.", planned.Intent.Folder, planned.Subject.Target, folder, target),
		Next: "Nothing has run. Apply the plan in the folder in which it was made, or plan again here. With an " +
			"absolute path the configuration names the same target in every folder.",
		Err: ErrTargetChanged,
	}
}

func lostRecord(playbook string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal lacks the dry run of %s that the plan shows", playbook),
		Why: "The plan was recorded in another journal, or this one was replaced by an older copy. Without the " +
			"record apply can't compare the target with what was reviewed.",
		Next: "Nothing has run. Plan and apply need one journal: keep it on a disk that both use, or in " +
			"Elasticsearch. Then plan again and apply that plan.",
		Err: ErrJournal,
	}
}

// adoptedProblem returns the error for a plan that was made before the journal was adopted.
func adoptedProblem(playbook string) error {
	return &problem.Problem{
		What: "The journal was adopted after " + playbook + " was planned",
		Why:  "An adoption voids everything that was shown and approved before.",
		Next: "Nothing has run. Plan again, review and approve what it shows, and apply that plan.",
		Err:  ErrJournal,
	}
}
