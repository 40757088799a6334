package dbtrun

import (
	"encoding/json"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// DefaultThreads is how many models run at once where the inputs don't say.
const DefaultThreads = 4

// params are the playbook's inputs.
type params struct {
	Models      []string       `json:"models"`
	Exclude     []string       `json:"exclude"`
	FullRefresh bool           `json:"full_refresh"`
	Upstream    bool           `json:"upstream"`
	Threads     *int           `json:"threads"`
	Vars        map[string]any `json:"vars"`
	// TaskID is a reference of the caller's, kept in the history.
	TaskID string `json:"task_id"`
}

// Check checks inputs without any I/O.
func Check(raw json.RawMessage) error {
	_, err := parse(raw)
	return err
}

func parse(raw json.RawMessage) (dbt.Selection, error) {
	threads := DefaultThreads
	p := params{Threads: &threads}
	if err := playbook.Decode(raw, &p); err != nil {
		return dbt.Selection{}, err
	}
	if *p.Threads < 1 {
		return dbt.Selection{}, playbook.Invalid(fmt.Sprintf("Allowed are 1 to %d.", dbt.MaxThreads),
			fmt.Sprintf("threads is %d.", *p.Threads), "threads")
	}
	s := dbt.Selection{
		Models: p.Models, Exclude: p.Exclude, FullRefresh: p.FullRefresh, Upstream: p.Upstream, Threads: *p.Threads,
		Vars: p.Vars,
	}
	return s, s.Validate()
}
