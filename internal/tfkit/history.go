package tfkit

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

const statusSkipped = string(journal.StatusSkipped)

// result is a journal.Result as the schema has it.
type result struct {
	Message    string            `json:"message"`
	StartedAt  string            `json:"started_at"`
	FinishedAt string            `json:"finished_at"`
	Actual     float64           `json:"actual_duration_seconds"`
	LogsURL    *string           `json:"logs_url"`
	Details    map[string]string `json:"details"`
}

// entry is a record as the schema's history has it.
type entry struct {
	ID         int64   `json:"id"`
	ActionType string  `json:"action_type"`
	Params     string  `json:"params"`
	DryRun     bool    `json:"dry_run"`
	Status     string  `json:"status"`
	ApprovedBy *string `json:"approved_by"`
	CreatedAt  string  `json:"created_at"`
	Digest     string  `json:"digest"`
	Result     *result `json:"result"`
}

func resultOf(r *journal.Result) *result {
	if r == nil {
		return nil
	}
	return &result{
		Message: r.Message, StartedAt: stamp(r.StartedAt), FinishedAt: stamp(r.FinishedAt), Actual: r.ActualDuration,
		LogsURL: optional(r.LogsURL), Details: r.Details,
	}
}

func entryOf(rec journal.Record) entry {
	return entry{
		ID: rec.ID, ActionType: rec.Subject.Playbook, Params: compact(rec.Intent.Params), DryRun: rec.DryRun,
		Status: string(rec.Status), ApprovedBy: optional(rec.Intent.ApprovedBy), CreatedAt: stamp(rec.CreatedAt),
		Digest: rec.Intent.Digest, Result: resultOf(rec.Result),
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

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

// elements returns the history in d, none where it is null.
func (d document) elements() ([]tftypes.Value, error) {
	v := d.values[attrHistory]
	if v.IsNull() || !v.IsKnown() {
		return nil, nil
	}
	var elements []tftypes.Value
	err := v.As(&elements)
	return elements, err
}

// ended is what d has of executions that have ended. One that was open when d was saved is left out: it comes back from
// the journal, with how it ended.
func (d document) ended() (past, error) {
	var was past
	if d.null(attrHistory) {
		return was, nil
	}
	elements, err := d.elements()
	if err != nil {
		return past{}, err
	}
	var history []entry
	if err := errors.Join(d.get(attrHistory, &history), d.get(attrExecutions, &was.executions)); err != nil {
		return past{}, err
	}
	for i, e := range history {
		if !journal.Status(e.Status).Final() {
			was.executions--
			continue
		}
		was.elements = append(was.elements, elements[i])
		was.last = &journal.Record{ID: e.ID, Status: journal.Status(e.Status), CreatedAt: parseStamp(e.CreatedAt)}
		if e.Result != nil {
			was.last.Result = &journal.Result{FinishedAt: parseStamp(e.Result.FinishedAt)}
		}
	}
	return was, nil
}

// pastWith is ended, with those of records that have ended since.
func (d document) pastWith(records []journal.Record) (past, error) {
	was, err := d.ended()
	if err != nil {
		return past{}, err
	}
	missing := after(records, was.newest())
	elements, err := d.entries(missing)
	if len(missing) > 0 {
		was.last = &missing[len(missing)-1]
	}
	was.elements, was.executions = append(was.elements, elements...), was.executions+len(missing)
	return was, err
}

// newest is the last execution, or zero.
func (p past) newest() int64 {
	if p.last == nil {
		return 0
	}
	return p.last.ID
}

// after returns those of records that have ended and are newer than the execution id.
func after(records []journal.Record, id int64) []journal.Record {
	return slices.DeleteFunc(slices.Clone(records), func(rec journal.Record) bool { return rec.Open() || rec.ID <= id })
}

// setHistory puts the newest limit of elements into d.
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

// entries turns records into history elements.
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

// coming is the history element of the planned execution: what apply will fill in is unknown.
func (d document) coming(req engine.Request) (tftypes.Value, error) {
	typ := d.entryType()
	values := map[string]tftypes.Value{}
	for name, t := range typ.AttributeTypes {
		values[name] = tftypes.NewValue(t, tftypes.UnknownValue)
	}
	for name, v := range map[string]any{"action_type": req.ActionType, "params": compact(req.Params),
		"dry_run": false} {
		known, err := codec.Terraform(typ.AttributeTypes[name], v)
		if err != nil {
			return tftypes.Value{}, err
		}
		values[name] = known
	}
	return tftypes.NewValue(typ, values), nil
}

// setRecord puts what came of an execution into d: all computed attributes but the preview and the history.
func (d document) setRecord(rec journal.Record) error {
	d.holds()
	var rollback map[string]any
	if rec.Rollback != nil {
		rollback = map[string]any{"action_type": rec.Rollback.Type, "params": compact(rec.Rollback.Params)}
	}
	for name, v := range map[string]any{
		attrID: rec.Ref(), attrStatus: string(rec.Status), attrResult: resultOf(rec.Result), attrRollback: rollback,
	} {
		if err := d.set(name, v); err != nil {
			return err
		}
	}
	return nil
}
