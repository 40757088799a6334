package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const (
	// recordTerm is how long plans show the same record before a new one is made, with figures read again.
	recordTerm = time.Hour
	// recordAttempts bounds how often a plan starts over because another plan was faster.
	recordAttempts = 10
)

// shown is what a dry run shows, as the journal stores it. Terraform plans again inside an apply and requires every
// known value to be the same, so all of it is restored from here.
type shown struct {
	playbook.Preview
	Facts json.RawMessage `json:"facts"`
	// ContentHash is the hash of Facts and Content that the plan shows.
	ContentHash string          `json:"content_hash,omitempty"`
	Safety      approval.Safety `json:"safety"`
	Number      int             `json:"number,omitempty"`
	Last        string          `json:"last,omitempty"`
	AsOf        time.Time       `json:"as_of,omitzero"`
	Deadline    time.Duration   `json:"deadline,omitempty"`
	Expected    time.Duration   `json:"expected,omitempty"`
	TimeoutSet  bool            `json:"timeout_set,omitempty"`
	Approval    standing        `json:"approval,omitzero"`
	Chain       chain           `json:"chain,omitzero"`
}

// standing is whether an approval is needed and given by the policy and the approvals alone, regardless of the clock
// and the forge.
type standing struct {
	Needed  bool     `json:"needed"`
	Reasons []string `json:"reasons,omitempty"`
	Granted bool     `json:"granted"`
	By      string   `json:"by,omitempty"`
	Who     string   `json:"who,omitempty"`
	// First is the record that the payload names. Zero: this record.
	First int64 `json:"first,omitempty"`
	// Policy is the fingerprint of the approval policy.
	Policy string `json:"policy,omitempty"`
}

func (r *Review) standing(policy string) standing {
	d := r.Decision
	return standing{Needed: d.Needed, Reasons: d.Reasons, Granted: d.Shown, By: d.By, Who: d.Who, First: r.first,
		Policy: policy}
}

func (s standing) same(other standing) bool {
	return s.Needed == other.Needed && s.Granted == other.Granted && s.By == other.By && s.Who == other.Who &&
		s.Policy == other.Policy && slices.Equal(s.Reasons, other.Reasons)
}

func (r *Review) encoded(policy string) json.RawMessage {
	if r.Digest == "" {
		return nil
	}
	text, err := json.Marshal(shown{
		Preview: r.Preview, Facts: r.facts, ContentHash: r.ContentHash, Safety: r.safety,
		Number: r.Number, Last: r.Last, AsOf: r.AsOf,
		Deadline: r.Deadline, Expected: r.Expected, TimeoutSet: r.TimeoutSet, Approval: r.standing(policy),
		Chain: r.chain,
	})
	if err != nil {
		return nil // every field has been encoded once before
	}
	return text
}

// decoded returns what a record shows.
func decoded(rec journal.Record) (shown, error) {
	var was shown
	if err := json.Unmarshal(rec.Intent.Preview, &was); err != nil {
		return shown{}, fmt.Errorf("preview of record %d: %w: %w", rec.ID, journal.ErrDamaged, err)
	}
	was.Preview.Facts = was.Facts
	return was, nil
}

// restore makes the review show what the record shows.
func (r *Review) restore(rec journal.Record, was shown) {
	warnings, locks, names := r.Preview.Warnings, r.Locks, r.OtherNames
	r.Preview, r.facts, r.safety = was.Preview, was.Facts, was.Safety
	r.Preview.Warnings, r.Locks, r.OtherNames = warnings, locks, names
	r.Record, r.Number, r.Last, r.AsOf = rec.ID, was.Number, was.Last, was.AsOf
	r.Deadline, r.Expected, r.TimeoutSet = was.Deadline, was.Expected, was.TimeoutSet
	r.chain = was.Chain
	var rails []guard.Rail
	if json.Unmarshal(was.Safety.Guardrails, &rails) == nil {
		r.Guardrails = rails
	}
	d := &r.Decision
	a := was.Approval
	d.Needed, d.Reasons, d.Shown, d.By, d.Who = a.Needed, a.Reasons, a.Granted, a.By, a.Who
	r.first = a.First
	r.payload(rec.Journal, rec.ID)
}

// payload completes the decision with what approvers sign, which names the first record since the digest was last
// executed.
func (r *Review) payload(identity string, own int64) {
	r.Decision.Payload = ""
	if r.Decision.Needed {
		r.Decision.Payload = r.signed(identity, own)
	}
}

// signed returns the payload, whether or not the execution needs an approval.
func (r *Review) signed(identity string, own int64) string {
	first := r.first
	if first == 0 {
		first = own
	}
	return approval.Payload(r.ActionType, r.Target, r.Digest, journal.Ref{Journal: identity, Number: first}.String())
}

// advise updates what the decision says is missing and what to do next, which may contain the payload of the appended
// record. The rest of the decision stays as recorded.
func (p *planning) advise(appended journal.Record) {
	r := p.review
	if r.Decision.Granted || r.weighed.Payload != "" {
		return
	}
	r.weighed.Payload = r.signed(appended.Journal, appended.ID)
	if d := p.engine.cfg.Policy.Decide(r.weighed, p.req.Given); !d.Granted {
		r.Decision.Missing, r.Decision.Next = d.Missing, d.Next
	}
}

// planning is one call of Plan.
type planning struct {
	engine  *Engine
	req     Request
	review  *Review
	lookErr error
	store   journal.Store
	about   journal.Subject
	// inside reports that the plan is made inside an apply.
	inside bool
}

// remember completes the review with what the journal knows, and records what it shows. Inside an apply it records
// nothing: it shows the record of the applied plan, and refuses if the target has changed since.
func (p *planning) remember(ctx context.Context) (refused, err error) {
	if p.store, err = p.engine.Journal(ctx); err != nil {
		return nil, err
	}
	if p.about, err = subject(p.req, *p.review); err != nil {
		return nil, err
	}
	if err := p.history(ctx); err != nil {
		return nil, err
	}
	inside, err := p.applied(ctx)
	if err != nil {
		return nil, err
	}
	if p.inside = inside.yes; p.inside {
		refused, err = p.insideApply(ctx, inside)
	} else {
		err = p.record(ctx)
	}
	if refused != nil || err != nil {
		return refused, err
	}
	if err := p.engine.checkSeen(ctx, p.store, p.req, p.review.Decision.Needed); err != nil {
		return err, nil
	}
	return nil, p.warn(ctx)
}

// history reads the executions of the request, and of the playbook on the target.
func (p *planning) history(ctx context.Context) error {
	r := p.review
	r.Request = p.about.Request
	past := journal.Filter{Request: p.about.Request, Limit: p.engine.cfg.HistoryLimit}
	var err error
	if r.History, err = p.store.Find(ctx, past); err != nil {
		return err
	}
	if err := journal.Intact(r.History); err != nil {
		return err
	}
	r.Executions = len(r.History)
	if past.Limit > 0 && len(r.History) == past.Limit {
		if r.Executions, err = p.store.Count(ctx, past); err != nil {
			return err
		}
	}
	return p.engine.number(ctx, p.store, r)
}

// number sets Number and Last of r: which execution of the playbook on the target comes next, and how the last one
// ended.
func (e *Engine) number(ctx context.Context, store journal.Store, r *Review) error {
	all := journal.Filter{Playbook: r.ActionType, Target: r.Target}
	all.Limit = 1
	last, err := store.Find(ctx, all)
	if err != nil {
		return err
	}
	if r.Number, r.Last = 1, ""; len(last) == 0 {
		return nil
	}
	count, err := store.Count(ctx, all)
	r.Number, r.Last = count+1, lastLine(last[0])
	return err
}

// record shows the newest record of the digest, and appends a new one if the newest is out of date. The plans of many
// resources with the same request take turns, so that only other processes can be faster.
func (p *planning) record(ctx context.Context) error {
	release, err := p.engine.requests.acquire(ctx, p.about.Request)
	if err != nil {
		return err
	}
	defer release()
	for range recordAttempts {
		latest, newest, ok, err := p.newest(ctx)
		if err != nil {
			return err
		}
		if ok {
			shows, err := p.shows(ctx, newest)
			if err != nil || shows {
				return err
			}
		}
		appended, err := p.append(ctx, latest)
		if !errors.Is(err, journal.ErrStale) {
			if err == nil && p.lookErr == nil {
				p.review.Record = appended.ID
				p.review.payload(appended.Journal, appended.ID)
				p.advise(appended)
			}
			return err
		}
	}
	return &problem.Problem{
		What: "The dry run could not be recorded",
		Why:  fmt.Sprintf("Other plans recorded theirs first, %d times in a row.", recordAttempts),
		Next: "Plan again.", Err: journal.ErrStale,
	}
}

// newest returns the newest record of the request with this digest, which is empty for a dry run that failed, and the
// number of the request's newest record of any kind.
func (p *planning) newest(ctx context.Context) (latest int64, newest journal.Record, ok bool, err error) {
	found, err := p.store.Find(ctx, journal.Filter{Request: p.about.Request, All: true, Limit: 1})
	if err != nil || len(found) == 0 {
		return 0, journal.Record{}, false, err
	}
	latest = found[0].ID
	if found[0].DryRun && found[0].Subject.Digest == p.about.Digest {
		return latest, found[0], true, nil
	}
	found, err = p.store.Find(ctx, journal.Filter{Request: p.about.Request, Digest: p.about.Digest, DryRuns: true,
		Limit: 1})
	if err != nil || len(found) == 0 {
		return latest, journal.Record{}, false, err
	}
	return latest, found[0], true, nil
}

// shows reports whether the record still says everything that a plan would say now. If so, it makes the review show the
// record.
func (p *planning) shows(ctx context.Context, newest journal.Record) (bool, error) {
	e := p.engine
	if p.lookErr != nil {
		return newest.Intent.Problem == p.lookErr.Error() && newest.Intent.Session == e.cfg.Terraform.Session, nil
	}
	epoch, err := journal.EpochOf(ctx, p.store)
	if err != nil || newest.ID < epoch.From {
		return false, err
	}
	ran := slices.ContainsFunc(p.review.History, func(rec journal.Record) bool { return rec.ID > newest.ID })
	age := e.cfg.Clock.Now().Sub(newest.CreatedAt)
	// The processes of one apply without a saved plan recognize each other by what they recorded.
	elsewhere := e.cfg.Terraform.Applies() && newest.Intent.Session != e.cfg.Terraform.Session
	if newest.Status != journal.StatusDryRunOK || ran || age >= recordTerm || age < 0 || elsewhere ||
		newest.Intent.Configuration != e.cfg.Configuration {
		return false, nil
	}
	was, err := decoded(newest)
	if err != nil {
		return false, err
	}
	if err := e.decide(ctx, p.req, p.review, shownBy{record: newest.ID}); err != nil {
		return false, err
	}
	// terraform test plans and applies in one run, and nothing distinguishes its plans from those inside its applies.
	one := e.cfg.Terraform.Session != "" && newest.Intent.Session == e.cfg.Terraform.Session
	chained := was.Chain.same(p.review.chain) || one && was.Chain.continues(p.review.chain)
	if !was.Approval.same(p.review.standing(e.policyPrint())) || !chained || !e.samePrograms(newest, was, p.review) {
		return false, nil
	}
	// A later step of the same apply looks again, and may use other cache entries. It must show what the plan showed.
	if !one && p.review.caches.unrecorded(ctx, newest) {
		return false, nil
	}
	p.review.restore(newest, was)
	return true, nil
}

// append records what the plan shows now.
func (p *planning) append(ctx context.Context, latest int64) (journal.Record, error) {
	e := p.engine
	if p.lookErr == nil {
		if err := e.decide(ctx, p.req, p.review, shownBy{record: math.MaxInt64}); err != nil {
			return journal.Record{}, err
		}
	}
	intent, err := e.intent(p.req, *p.review)
	if err != nil {
		return journal.Record{}, err
	}
	if p.lookErr != nil {
		intent.Problem = p.lookErr.Error()
	}
	return p.store.BeginAfter(ctx, p.about, intent, latest)
}

// warn adds warnings about what a reader of the plan should act on.
func (p *planning) warn(ctx context.Context) error {
	e, r := p.engine, p.review
	if rec, ok := e.finished(p.req, p.about, r.History); ok && !p.req.TriggersUnknown && !p.req.IncidentUnknown {
		r.Finished = true
		r.Warnings = append(r.Warnings, warnOfFinished(rec))
	}
	if w, err := e.journalWarning(ctx, p.store, p.req); err != nil {
		return err
	} else if w != "" {
		r.Warnings = append(r.Warnings, w)
	}
	if r.ReadOnly {
		return nil // it waits for nobody
	}
	locks := append(slices.Clip(r.Locks), r.identityLock())
	rec, busy, err := blocking(ctx, p.store, r.Target, locks)
	if err == nil && busy && rec.Subject.Request != p.about.Request {
		r.Warnings = append(r.Warnings, (&journal.BusyError{Record: rec}).Error()+". Apply waits for it.")
	}
	return err
}

// intent returns the body of the first entry of an execution or a dry run.
func (e *Engine) intent(req Request, review Review) (journal.Intent, error) {
	intent := journal.Intent{
		Params: req.Params, Triggers: req.Triggers, Preview: review.encoded(e.policyPrint()), Digest: review.Digest,
		ApprovedBy: req.Given.By, Holder: e.cfg.Self, Session: e.cfg.Terraform.Session,
		Configuration: e.cfg.Configuration, Record: review.Record, ReadOnly: review.ReadOnly,
		Caches: review.caches.entries(), Folder: e.cfg.Folder,
	}
	return intent, e.approved(&intent, review)
}
