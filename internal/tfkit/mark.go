package tfkit

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// PrivateMark is the key in private state of the newest journal entry that the state has seen. A plan with nothing to
// do and a read without drift detection don't depend on it.
const PrivateMark = "journal"

// privateState is the framework's private state of a resource.
type privateState interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// markOf reads the newest journal entry that the state has seen, or the zero value.
func markOf(ctx context.Context, private privateState) journal.Mark {
	text, diags := private.GetKey(ctx, PrivateMark)
	if diags.HasError() {
		return journal.Mark{}
	}
	return ParseMark(text)
}

// ParseMark parses the value of PrivateMark. It returns the zero value for one that is missing or damaged.
func ParseMark(value []byte) journal.Mark {
	var mark string
	if len(value) == 0 || json.Unmarshal(value, &mark) != nil {
		return journal.Mark{}
	}
	m, ok := journal.ParseMark(mark)
	if !ok {
		return journal.Mark{}
	}
	return m
}

// saw tells the engine the newest journal entry that the state has seen, also for a resource that replaces this one.
func (r *Resource) saw(ctx context.Context, private privateState) {
	if r.runtime != nil && r.runtime.Engine != nil {
		r.runtime.Engine.Saw(markOf(ctx, private))
	}
}

// saveMark saves the newest entry of an execution in the private state. A later plan or apply compares it with the
// journal, to detect that the journal is another one, an older copy, or was rewritten.
func saveMark(ctx context.Context, a applying, m journal.Mark) error {
	text, err := json.Marshal(m.Short().String())
	if err != nil {
		return err
	}
	a.diags.Append(a.private.SetKey(ctx, PrivateMark, text)...)
	return nil
}

// seen completes a request with the execution that the state names, and the newest journal entry that it has seen.
func (d document) seen(req *engine.Request, mark journal.Mark) {
	req.Mark = mark
	ref, err := journal.ParseRef(d.text(attrID))
	if err != nil {
		return
	}
	if req.Execution = ref; mark.Journal == "" {
		req.Mark.Journal = ref.Journal
	}
}

// fillIn completes a request with what the state knows: its newest ended execution, whether its last execution was
// open, and the newest journal entry that it has seen.
func (d document) fillIn(req *engine.Request, mark journal.Mark) error {
	was, err := d.ended()
	if err != nil {
		return err
	}
	req.Known = was.newest
	d.seen(req, mark)
	status := journal.Status(d.text(attrStatus))
	req.Open = status == journal.StatusPending || status == journal.StatusRunning
	return nil
}
