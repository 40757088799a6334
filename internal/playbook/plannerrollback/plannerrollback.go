// Package plannerrollback is the playbook rollback_planner: all traffic goes from a canary to the stable version, and
// the canary is decommissioned.
package plannerrollback

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/shift"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// ActionType is the playbook's name in the history, Deploy that of the playbook that takes it back.
const (
	ActionType = "rollback_planner"
	Deploy     = "deploy_planner"
)

// Estimates, from the playbooks' specification.
const (
	// DefaultDuration is that of a gradual rollback, as the schema writes it.
	DefaultDuration = "15m"
	immediate       = 30 * time.Second
)

type book struct {
	planner planner.Planner
	clock   clock.Clock
}

// New returns the playbook.
func New(p planner.Planner, clk clock.Clock) playbook.Playbook { return book{planner: p, clock: clk} }

// Describe is the playbook's page in the catalogue.
func Describe() playbook.Metadata {
	return playbook.Metadata{
		ActionType: ActionType,
		Summary: "moves all traffic from a canary to the stable version, gradually or at once, and decommissions " +
			"the canary",
		Use: []string{
			"a canary regression: accuracy down more than 10 %, latency up more than 50 %, error rate up",
			"immediately for a SEV1, an error rate over 10 % or a risk of corrupt data",
		},
		Approval: "needed when it is immediate",
		Duration: DefaultDuration + " gradual, 30s immediate", Cost: "USD 0.00",
		Undo: "deploy the canary again (" + Deploy + ")", CanUndo: true,
	}
}

// Metadata implements playbook.Playbook.
func (b book) Metadata() playbook.Metadata { return Describe() }

// Params are the playbook's inputs.
type Params struct {
	FromVersion string `json:"from_version"`
	ToVersion   string `json:"to_version"`
	Immediate   bool   `json:"immediate,omitempty"`
	// GradualDuration is a duration such as "15m".
	GradualDuration string `json:"gradual_duration,omitempty"`
	Steps           *int   `json:"steps,omitempty"`
}

// deployment is what takes a rollback back.
type deployment struct {
	Version        string  `json:"version"`
	InitialPercent float64 `json:"initial_percent"`
}

// Check checks inputs without any I/O.
func Check(raw json.RawMessage) error {
	_, err := parse(raw)
	return err
}

func parse(raw json.RawMessage) (shift.Wish, error) {
	steps := shift.DefaultSteps
	p := Params{GradualDuration: DefaultDuration, Steps: &steps}
	if err := playbook.Decode(raw, &p); err != nil {
		return shift.Wish{}, err
	}
	if err := shift.CheckVersion("from_version", p.FromVersion); err != nil {
		return shift.Wish{}, err
	}
	if err := shift.CheckVersion("to_version", p.ToVersion); err != nil {
		return shift.Wish{}, err
	}
	if p.FromVersion == p.ToVersion {
		return shift.Wish{}, playbook.Invalid("Name two versions.",
			fmt.Sprintf("from_version and to_version are both %s.", p.FromVersion), "to_version")
	}
	w := shift.Wish{
		Version: p.FromVersion, VersionInput: "from_version", Stable: p.ToVersion, StableInput: "to_version",
		Target: 0, Estimate: immediate, Decommission: true, Undoing: Describe().Undo,
	}
	pace, err := shift.NewPace(p.GradualDuration, *p.Steps)
	if err != nil {
		return shift.Wish{}, err
	}
	if !p.Immediate {
		w.Pace = pace
	}
	w.Approval = func(float64) []string {
		if !p.Immediate {
			return nil
		}
		return []string{fmt.Sprintf("an immediate rollback moves all traffic from %s to %s at once", p.FromVersion,
			p.ToVersion)}
	}
	w.Risk = func(float64) playbook.Risk {
		if p.Immediate {
			return playbook.RiskHigh
		}
		return playbook.RiskMedium
	}
	w.Undo = func(before float64, _ string) *playbook.Rollback {
		return &playbook.Rollback{ActionType: Deploy, Params: deployment{Version: p.FromVersion,
			InitialPercent: before}}
	}
	return w, nil
}

// Bind implements playbook.Playbook.
func (b book) Bind(raw json.RawMessage) (playbook.Action, error) {
	w, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return shift.NewAction(b.planner, b.clock, w), nil
}
