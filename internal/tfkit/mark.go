package tfkit

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// markKey is the key of the private state that holds the newest entry of the journal that the state has seen.
const markKey = "journal"

// privateState is the framework's private state of a resource.
type privateState interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// markOf reads what the state has seen of the journal; the zero value if it has seen none.
func markOf(ctx context.Context, private privateState) journal.Mark {
	var m journal.Mark
	text, diags := private.GetKey(ctx, markKey)
	if diags.HasError() || text == nil || json.Unmarshal(text, &m) != nil {
		return journal.Mark{}
	}
	return m
}

// keepMark keeps the newest entry of the journal in the state.
func (r *Resource) keepMark(ctx context.Context, a applying) error {
	m, err := r.runtime.Engine.Mark(context.WithoutCancel(ctx))
	if err != nil {
		return nil //nolint:nilerr // the execution's own error tells of a journal that can't be read
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	a.diags.Append(a.private.SetKey(ctx, markKey, text)...)
	return nil
}

// kept completes a request with what the state has kept: its newest execution, and what it has seen of the journal.
func (d document) kept(req *engine.Request, mark journal.Mark) error {
	was, err := d.ended()
	if err != nil {
		return err
	}
	req.Known, req.Mark = was.newest, mark
	if ref, err := journal.ParseRef(d.text(attrID)); err == nil && req.Mark.Journal == "" {
		req.Mark.Journal = ref.Journal
	}
	status := journal.Status(d.text(attrStatus))
	req.Open = status == journal.StatusPending || status == journal.StatusRunning
	return nil
}
