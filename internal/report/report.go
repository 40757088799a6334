// Package report formats the executions in a journal as a history for people: as one self-contained HTML page, or as
// Markdown.
package report

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// Report is the history of executions.
type Report struct {
	// Journal is the identity of the journal.
	Journal string
	// Executions are sorted by their start, newest first.
	Executions []Execution
}

// Execution is one execution in a report.
type Execution struct {
	ID, Playbook, Target, Incident, Status, ApprovedBy, Message, LogsURL string

	Started time.Time
	// Seconds is how long it took, and Estimate how long it was expected to take. Zero means unknown.
	Seconds, Estimate float64
	// Signatures counts the signed approvals.
	Signatures int
	// Share is a version's share of the traffic after a successful move, or nil.
	Share *Share
	// Rails are the execution's guardrails with their readings.
	Rails []Rail
}

// Share is a version's percentage of the traffic.
type Share struct {
	Version string
	Percent float64
}

// Rail is a guardrail with its readings.
type Rail struct {
	Name     string
	Min, Max *float64
	Readings []guard.Reading
}

// Collect returns a report on records from a journal, with the readings of the newest guardrails.
func Collect(ctx context.Context, store journal.Store, records []journal.Record) (Report, error) {
	identity, err := journal.Identity(ctx, store)
	if err != nil {
		return Report{}, err
	}
	readings := map[int64][]guard.Reading{}
	if from := watchedFrom(records); from > 0 {
		err = store.Entries(ctx, from, func(e journal.Entry) error {
			if found := readingsIn(e); len(found) > 0 {
				readings[e.Execution] = append(readings[e.Execution], found...)
			}
			return nil
		})
	}
	return New(identity, records, readings), err
}

// shown is the part of a recorded dry run that a report uses.
type shown struct {
	Duration time.Duration `json:"duration"`
	Facts    struct {
		Target *float64 `json:"target_percent"`
	} `json:"facts"`
}

// New returns a report on records. readings maps the number of an execution to its guardrail readings.
func New(identity string, records []journal.Record, readings map[int64][]guard.Reading) Report {
	r := Report{Journal: identity}
	for _, rec := range records {
		if rec.DryRun || rec.Status == journal.StatusSkipped || rec.Status == journal.StatusAdopted {
			continue
		}
		r.Executions = append(r.Executions, executionOf(rec, readings[rec.ID]))
	}
	slices.SortStableFunc(r.Executions, func(a, b Execution) int { return b.Started.Compare(a.Started) })
	return r
}

func executionOf(rec journal.Record, readings []guard.Reading) Execution {
	e := Execution{ID: rec.Ref(), Playbook: rec.Subject.Playbook, Target: rec.Subject.Target,
		Incident: rec.Subject.Incident, Status: string(rec.Status), ApprovedBy: rec.Intent.ApprovedBy,
		Started: rec.CreatedAt}
	if rec.Result != nil {
		e.Seconds, e.Message, e.LogsURL = rec.Result.ActualDuration, rec.Result.Message, rec.Result.LogsURL
	}
	var was shown
	var params struct {
		Version string `json:"version"`
	}
	// The report leaves out what a record from another version of the provider lacks.
	if json.Unmarshal(rec.Intent.Preview, &was) == nil {
		e.Estimate = was.Duration.Seconds()
	}
	if json.Unmarshal(rec.Intent.Params, &params) == nil && params.Version != "" && was.Facts.Target != nil &&
		rec.Status == journal.StatusSuccess {
		e.Share = &Share{Version: params.Version, Percent: *was.Facts.Target}
	}
	var used []approval.Used
	if json.Unmarshal(rec.Intent.Approvals, &used) == nil {
		for _, u := range used {
			if u.Signature != "" {
				e.Signatures++
			}
		}
	}
	e.Rails = railsOf(rec, readings)
	return e
}

// railsOf assigns readings to the guardrails of the execution. The baseline is the first reading.
func railsOf(rec journal.Record, readings []guard.Reading) []Rail {
	if rec.Intent.Guardrails == nil {
		return nil
	}
	watch := guard.Decode(rec.Intent.Guardrails)
	var rails []Rail
	for i, rail := range watch.Rails {
		r := Rail{Name: rail.Name, Min: rail.Min, Max: rail.Max}
		if i < len(watch.Baseline) {
			r.Readings = append(r.Readings, watch.Baseline[i])
		}
		for _, reading := range readings {
			if reading.Name == rail.Name {
				r.Readings = append(r.Readings, reading)
			}
		}
		rails = append(rails, r)
	}
	return rails
}

// readingsIn returns the guardrail readings in a progress entry.
func readingsIn(e journal.Entry) []guard.Reading {
	var body struct {
		Readings []guard.Reading `json:"guardrails"`
	}
	if e.Kind != journal.KindProgress || json.Unmarshal(e.Body, &body) != nil {
		return nil
	}
	return body.Readings
}

// Total summarizes the executions of one playbook. Estimated counts the successful ones with an estimate.
type Total struct {
	Playbook                    string
	Count, Succeeded, Estimated int
	// Median and P90 are durations of those that succeeded, and Estimate is the median of their estimates, in seconds.
	Median, P90, Estimate float64
}

// totals returns one total per playbook, the most frequent first.
func (r Report) totals() []Total {
	type sums struct {
		Total
		took, estimates []float64
	}
	by := map[string]*sums{}
	for _, e := range r.Executions {
		t, ok := by[e.Playbook]
		if !ok {
			t = &sums{Total: Total{Playbook: e.Playbook}}
			by[e.Playbook] = t
		}
		t.Count++
		if e.Status != string(journal.StatusSuccess) {
			continue
		}
		t.Succeeded++
		t.took = append(t.took, e.Seconds)
		if e.Estimate > 0 {
			t.estimates = append(t.estimates, e.Estimate)
		}
	}
	var out []Total
	const median, p90 = 0.5, 0.9
	for _, t := range by {
		t.Median, t.P90 = quantile(t.took, median), quantile(t.took, p90)
		t.Estimate, t.Estimated = quantile(t.estimates, median), len(t.estimates)
		out = append(out, t.Total)
	}
	slices.SortFunc(out, func(a, b Total) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Playbook, b.Playbook))
	})
	return out
}

// quantile returns the value below which a share q of values lies, or 0 without values.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// approver counts the executions that one set of approvers approved.
type approver struct {
	who           string
	count, signed int
}

// approvers returns one element per set of approvers, the most frequent first.
func (r Report) approvers() []approver {
	by := map[string]*approver{}
	for _, e := range r.Executions {
		if e.ApprovedBy == "" {
			continue
		}
		a, ok := by[e.ApprovedBy]
		if !ok {
			a = &approver{who: e.ApprovedBy}
			by[e.ApprovedBy] = a
		}
		a.count++
		if e.Signatures > 0 {
			a.signed++
		}
	}
	var out []approver
	for _, a := range by {
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b approver) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.who, b.who))
	})
	return out
}

// statuses returns the statuses that occur, in a fixed order, and the number of executions with each.
func (r Report) statuses() (names []string, counts map[string]int) {
	counts = map[string]int{}
	for _, e := range r.Executions {
		counts[e.Status]++
	}
	for _, s := range []journal.Status{journal.StatusSuccess, journal.StatusFailed, journal.StatusCancelled,
		journal.StatusUnknown, journal.StatusRunning, journal.StatusPending} {
		if counts[string(s)] > 0 {
			names = append(names, string(s))
		}
	}
	return names, counts
}

// watchedFrom returns the number of the oldest execution whose guardrails a page shows, or 0 if there is none.
func watchedFrom(records []journal.Record) int64 {
	rails := 0
	from := int64(0)
	for i := len(records) - 1; i >= 0 && rails < maxSparks; i-- {
		if records[i].Intent.Guardrails != nil {
			from = records[i].ID
			rails += len(guard.Decode(records[i].Intent.Guardrails).Rails)
		}
	}
	return from
}
