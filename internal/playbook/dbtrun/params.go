package dbtrun

import (
	"fmt"
	"reflect"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// params are the playbook's inputs.
type params struct {
	Models         []string `json:"models,omitempty"`
	Exclude        []string `json:"exclude,omitempty"`
	Selector       string   `json:"selector"`
	State          string   `json:"state"`
	Defer          bool     `json:"defer"`
	EventTimeStart string   `json:"event_time_start"`
	EventTimeEnd   string   `json:"event_time_end"`
	FullRefresh    bool     `json:"full_refresh"`
	Upstream       bool     `json:"upstream"`
	// Threads is how many models run at once. Nil: the profile decides.
	Threads *int           `json:"threads,omitempty"`
	Vars    map[string]any `json:"vars,omitempty"`
	// RetryFailed runs only what failed or was skipped in the last execution, with the arguments of that execution.
	RetryFailed bool `json:"retry_failed"`
	// TaskID is a reference of the caller, kept in the history.
	TaskID string `json:"task_id"`
}

func (p params) validate() (params, error) {
	if p.Threads != nil && *p.Threads < 1 {
		return p, playbook.Invalid(fmt.Sprintf("Must be between 1 and %d.", dbt.MaxThreads),
			fmt.Sprintf("threads is %d.", *p.Threads), "threads")
	}
	if !p.RetryFailed || p.selects() {
		return p, p.selection().Validate()
	}
	if alone := (params{RetryFailed: true, Threads: p.Threads, TaskID: p.TaskID}); !reflect.DeepEqual(p, alone) {
		return p, playbook.Invalid("Name models or selector too, or leave the other inputs out.",
			"retry_failed alone uses the arguments of the last execution.", "retry_failed")
	}
	return p, nil
}

// selects reports whether the inputs name a selection.
func (p params) selects() bool { return len(p.Models) > 0 || p.Selector != "" }

func (p params) selection() dbt.Selection {
	s := dbt.Selection{
		Models: p.Models, Exclude: p.Exclude, Selector: p.Selector, State: p.State, Defer: p.Defer,
		EventTimeStart: p.EventTimeStart, EventTimeEnd: p.EventTimeEnd,
		FullRefresh: p.FullRefresh, Upstream: p.Upstream, Vars: p.Vars,
	}
	if p.Threads != nil {
		s.Threads = *p.Threads
	}
	return s
}
