package tfkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

const statusSkipped = string(journal.StatusSkipped)

// result is a journal.Result with the members of the result attribute.
type result struct {
	Message    string            `json:"message"`
	StartedAt  string            `json:"started_at"`
	FinishedAt string            `json:"finished_at"`
	Actual     float64           `json:"actual_duration_seconds"`
	LogsURL    *string           `json:"logs_url"`
	Details    map[string]string `json:"details"`
}

// entry is an execution with the members of a history element.
type entry struct {
	ID         string   `json:"id"`
	ActionType string   `json:"action_type"`
	Params     string   `json:"params"`
	Status     string   `json:"status"`
	ApprovedBy *string  `json:"approved_by"`
	CreatedAt  string   `json:"created_at"`
	Actual     *float64 `json:"actual_duration_seconds"`
	LogsURL    *string  `json:"logs_url"`
	Digest     *string  `json:"digest"`
	Message    *string  `json:"message"`
}

// Result converts a record's result to a value for the result attribute. It returns nil for nil.
func Result(r *journal.Result) any {
	if r == nil {
		return nil
	}
	details := map[string]string{}
	for name, v := range r.Details {
		if v != "" {
			details[name] = v
		}
	}
	return result{
		Message: r.Message, StartedAt: Stamp(r.StartedAt), FinishedAt: Stamp(r.FinishedAt),
		Actual:  eighths(r.ActualDuration),
		LogsURL: optional(r.LogsURL), Details: details,
	}
}

func entryOf(rec journal.Record) entry {
	e := entry{
		ID: rec.Ref(), ActionType: rec.Subject.Playbook, Params: compact(rec.Intent.Params),
		Status: string(rec.Status), ApprovedBy: optional(rec.Intent.ApprovedBy), CreatedAt: Stamp(rec.CreatedAt),
		Digest: optional(rec.Intent.Digest),
	}
	if r := rec.Result; r != nil {
		took := eighths(r.ActualDuration)
		e.Actual, e.LogsURL, e.Message = &took, optional(r.LogsURL), optional(r.Message)
	}
	return e
}

// Stamp formats a time as RFC 3339 in UTC.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// compact returns the canonical form of a JSON text: the same value always gives the same text in state.
func compact(text json.RawMessage) string {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return string(text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(text)
	}
	return string(out)
}

// elements returns the history in d, or nil if it is null or unknown.
func (d document) elements() ([]tftypes.Value, error) {
	v := d.values[attrHistory]
	if v.IsNull() || !v.IsKnown() {
		return nil, nil
	}
	var elements []tftypes.Value
	err := v.As(&elements)
	return elements, err
}

// ended returns the executions in d that have ended. An execution that was open when d was saved is left out: the
// journal provides it, with its outcome.
func (d document) ended() (earlier, error) {
	var was earlier
	elements, err := d.elements()
	if err != nil || len(elements) == 0 {
		return earlier{}, err
	}
	var history []entry
	if err := d.get(attrHistory, &history); err != nil {
		return earlier{}, err
	}
	for i, e := range history {
		ref, err := journal.ParseRef(e.ID)
		if err != nil {
			return earlier{}, fmt.Errorf("history: %w", err)
		}
		if journal.Status(e.Status).Final() {
			was.elements, was.newest = append(was.elements, elements[i]), ref.Number
			was.ids = append(was.ids, e.ID)
		}
	}
	return was, nil
}

// earlierWith is ended, plus those of the records that have ended since d was saved. A record that was merged from
// another journal may be in d already, under its identifier there.
func (d document) earlierWith(records []journal.Record) (earlier, error) {
	was, err := d.ended()
	if err != nil {
		return earlier{}, err
	}
	records = slices.DeleteFunc(slices.Clone(records), func(rec journal.Record) bool {
		return slices.Contains(was.ids, rec.Ref()) ||
			rec.Intent.Origin != nil && slices.Contains(was.ids, rec.Intent.Origin.Execution)
	})
	elements, err := d.entries(after(records, was.newest))
	was.elements = append(was.elements, elements...)
	return was, err
}

// after returns the records that have ended and are newer than the execution id.
func after(records []journal.Record, id int64) []journal.Record {
	return slices.DeleteFunc(slices.Clone(records), func(rec journal.Record) bool { return rec.Open() || rec.ID <= id })
}

// setHistory puts the newest elements into d, up to limit.
func (d document) setHistory(elements []tftypes.Value, limit int) {
	if over := len(elements) - limit; over > 0 {
		elements = elements[over:]
	}
	if elements == nil {
		elements = []tftypes.Value{}
	}
	d.values[attrHistory] = tftypes.NewValue(d.typ.AttributeTypes[attrHistory], elements)
}

func (d document) entryType() tftypes.Object {
	list, _ := d.typ.AttributeTypes[attrHistory].(tftypes.List)
	object, _ := list.ElementType.(tftypes.Object)
	return object
}

// entries converts records to history elements.
func (d document) entries(records []journal.Record) ([]tftypes.Value, error) {
	elements := make([]tftypes.Value, 0, len(records)+1)
	for _, rec := range records {
		v, err := codec.Terraform(d.entryType(), entryOf(rec))
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	return elements, nil
}

// plannedEntry returns the history element of the planned execution. Values that apply sets are unknown.
func (d document) plannedEntry(req engine.Request) (tftypes.Value, error) {
	typ := d.entryType()
	values := map[string]tftypes.Value{}
	for name, t := range typ.AttributeTypes {
		values[name] = tftypes.NewValue(t, tftypes.UnknownValue)
	}
	for name, v := range map[string]any{"action_type": req.ActionType, "params": compact(req.Params)} {
		known, err := codec.Terraform(typ.AttributeTypes[name], v)
		if err != nil {
			return tftypes.Value{}, err
		}
		values[name] = known
	}
	return tftypes.NewValue(typ, values), nil
}

// setRecord puts the result of an execution into d: all computed attributes except the preview, the dry run's text, and
// the history.
func (r *Resource) setRecord(d document, rec journal.Record) error {
	d.clearDrift()
	var rollback map[string]any
	if rec.Rollback != nil {
		rollback = map[string]any{"action_type": rec.Rollback.Type, "params": compact(rec.Rollback.Params)}
	}
	for name, v := range map[string]any{
		attrID: rec.Ref(), attrStatus: string(rec.Status), attrResult: r.result(rec.Result), attrRollback: rollback,
	} {
		if err := d.set(name, v); err != nil {
			return err
		}
	}
	return d.setResults(rec.Result, r.results())
}

// result is Result without routine details; see Front.
func (r *Resource) result(of *journal.Result) any {
	if of == nil || r.front.Routine == nil {
		return Result(of)
	}
	kept := *of
	kept.Details = maps.Clone(of.Details)
	maps.DeleteFunc(kept.Details, r.front.Routine)
	return Result(&kept)
}

// setResults puts the playbook's own results into d, null if there are none.
func (d document) setResults(r *journal.Result, names []string) error {
	all := map[string]any{}
	if r != nil && r.Values != nil {
		if err := json.Unmarshal(r.Values, &all); err != nil {
			return fmt.Errorf("results in the journal: %w", err)
		}
	}
	for _, name := range names {
		if err := d.set(name, all[name]); err != nil {
			return err
		}
	}
	return nil
}

// eighths rounds seconds to eighths, which a binary number represents exactly. Terraform compares and encodes numbers
// in decimal with 512 bits: with other fractions, this took a sixth of its time in a plan with nothing to do (Terraform
// 1.11).
func eighths(seconds float64) float64 {
	const parts = 8
	return math.Round(seconds*parts) / parts
}
