package dbtrun

import (
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// DefaultThreads is how many models run at once where the inputs don't say.
const DefaultThreads = 4

// params are the playbook's inputs.
type params struct {
	Models      []string       `json:"models,omitempty"`
	Exclude     []string       `json:"exclude,omitempty"`
	FullRefresh bool           `json:"full_refresh"`
	Upstream    bool           `json:"upstream"`
	Threads     int            `json:"threads"`
	Vars        map[string]any `json:"vars,omitempty"`
	// TaskID is a reference of the caller's, kept in the history.
	TaskID string `json:"task_id"`
}

func (p params) validate() (params, error) {
	if p.Threads < 1 {
		return p, playbook.Invalid(fmt.Sprintf("Must be between 1 and %d.", dbt.MaxThreads),
			fmt.Sprintf("threads is %d.", p.Threads), "threads")
	}
	return p, p.selection().Validate()
}

func (p params) selection() dbt.Selection {
	return dbt.Selection{
		Models: p.Models, Exclude: p.Exclude, FullRefresh: p.FullRefresh, Upstream: p.Upstream, Threads: p.Threads,
		Vars: p.Vars,
	}
}
