// Package tfkit is the one Terraform resource behind every playbook resource. A front (a package below
// internal/resources) supplies a name, its inputs and the names of its facts; decoding, planning, timeouts, state,
// diagnostics, import and history are here. Package engine decides the order of an execution.
//
// Terraform plans a resource at plan and again during apply, without saying which, and refuses a known value that
// changed in between. Known values in a plan therefore come from the configuration, the prior state, and the facts of
// the preview. All others are unknown until apply.
package tfkit

import (
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Front is what one playbook resource adds to the code that all of them share.
type Front struct {
	// Name is the resource's name without the provider's prefix, such as "dbt_run".
	Name string
	// Playbook is the playbook without its target.
	Playbook playbook.Description
	// Description is Markdown, put above what the catalogue says about the playbook.
	Description string
	// Inputs are the playbook's own inputs: their names are the JSON names of the playbook's parameters.
	Inputs map[string]schema.Attribute
	// Watched means that each refresh checks the target for drift. See playbook.Observer.
	Watched bool
	// Results are the playbook's own attributes that an execution sets: their names are the JSON names of its
	// playbook.Report.Values. They are null while there is no result.
	Results map[string]schema.Attribute
	// Preview are the playbook's own attributes of preview: their names are the JSON names of its facts.
	Preview map[string]schema.Attribute
	// Routine reports that a detail of a result says nothing that the result's message doesn't say. The journal keeps
	// it, and state leaves it out: Terraform writes the whole state after every resource. Nil: no detail is routine.
	Routine func(name, text string) bool
}

// Runtime is what the provider passes to its resources.
type Runtime struct {
	// Engine runs playbooks. Nil while the provider's configuration is not fully known.
	Engine *engine.Engine
	// HistoryLimit is the number of executions that a resource keeps in state.
	HistoryLimit int
	// Redact masks secrets in the log. Nil means that there are none.
	Redact func(string) string
	// Quiet means that Terraform discards the log, so it is not written.
	Quiet bool
	// ForgeDecides means that approvals count only with a review at a forge, which plan does not show.
	ForgeDecides bool
	// applies is true once this process has created, updated, or destroyed a resource.
	applies atomic.Bool
}

// applying notes that this process applies a plan.
func (r *Runtime) applying() {
	if r != nil {
		r.applies.Store(true)
	}
}
