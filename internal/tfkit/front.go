// Package tfkit is the one Terraform resource behind every playbook resource. A front (a package below
// internal/resources) supplies a name, its inputs and the names of its facts; decoding, planning, timeouts, state,
// diagnostics, import and history are here, and the order of an execution is in package engine.
//
// Terraform plans a resource at plan and once more inside apply, without saying which, and refuses a known value that
// moved in between. So what a plan shows as known comes from configuration, prior state and the facts of the preview;
// all else is unknown until apply.
package tfkit

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Front is what one playbook resource adds to the common envelope.
type Front struct {
	// Name is the resource's name without the provider's prefix, such as "dbt_run".
	Name string
	// Playbook is the playbook without its target.
	Playbook playbook.Description
	// Description is Markdown, put above the catalogue's facts.
	Description string
	// Inputs are the playbook's own inputs: their names are the JSON names of the playbook's parameters.
	Inputs map[string]schema.Attribute
	// Watched tells that what the playbook brings about is looked at again at each refresh; see playbook.Observer.
	Watched bool
	// Preview are the playbook's own attributes of preview: their names are the JSON names of its facts.
	Preview map[string]schema.Attribute
}

// Runtime is what the provider hands to its resources.
type Runtime struct {
	// Engine runs playbooks. Nil while the provider's configuration is not wholly known.
	Engine *engine.Engine
	// HistoryLimit is how many executions stay in state.
	HistoryLimit int
	// Redact masks secrets in the log. Nil: there are none.
	Redact func(string) string
	// ForgeDecides tells that approvals count only with a review at a forge, which plan does not show.
	ForgeDecides bool
}
