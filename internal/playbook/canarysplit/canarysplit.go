// Package canarysplit is the playbook adjust_canary_split: it moves a canary's share of the traffic, and the stable
// version takes the rest.
package canarysplit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/shift"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// ActionType is the playbook's name in the history.
const ActionType = "adjust_canary_split"

// Estimates, from the playbooks' specification.
const (
	// DefaultDuration is that of a gradual change, as the schema writes it.
	DefaultDuration = "10m"
	immediate       = time.Minute
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
		Summary: "moves a canary's share of the traffic, gradually under guardrails or at once; the stable " +
			"version takes the rest",
		Use:      []string{"a canary that does well and gets more traffic", "a canary that regresses and gets less"},
		Approval: "needed when the share goes up",
		Duration: DefaultDuration + " gradual, 1m immediate", Cost: "USD 0.00",
		Undo: "back to the original percent", CanUndo: true,
	}
}

// Metadata implements playbook.Playbook.
func (b book) Metadata() playbook.Metadata { return Describe() }

// Params are the playbook's inputs.
type Params struct {
	Version       string   `json:"version"`
	TargetPercent *float64 `json:"target_percent"`
	Gradual       *bool    `json:"gradual,omitempty"`
	// GradualDuration is a duration such as "10m".
	GradualDuration string `json:"gradual_duration,omitempty"`
	Steps           *int   `json:"steps,omitempty"`
}

// Check checks inputs without any I/O.
func Check(raw json.RawMessage) error {
	_, err := parse(raw)
	return err
}

func parse(raw json.RawMessage) (shift.Wish, error) {
	gradual, steps := true, shift.DefaultSteps
	p := Params{Gradual: &gradual, GradualDuration: DefaultDuration, Steps: &steps}
	if err := playbook.Decode(raw, &p); err != nil {
		return shift.Wish{}, err
	}
	if err := shift.CheckVersion("version", p.Version); err != nil {
		return shift.Wish{}, err
	}
	if p.TargetPercent == nil {
		return shift.Wish{}, playbook.Invalid("Allowed is 0 to 100.", "target_percent is not set.", "target_percent")
	}
	if err := shift.CheckPercent("target_percent", *p.TargetPercent); err != nil {
		return shift.Wish{}, err
	}
	w := shift.Wish{Version: p.Version, VersionInput: "version", TargetInput: "target_percent",
		Target: *p.TargetPercent, Estimate: immediate, Watched: true, Undoing: Describe().Undo}
	pace, err := shift.NewPace(p.GradualDuration, *p.Steps)
	if err != nil {
		return shift.Wish{}, err
	}
	if *p.Gradual {
		w.Pace = pace
	}
	w.Approval = func(current float64) []string {
		if w.Target-current <= planner.Tolerance {
			return nil
		}
		return []string{fmt.Sprintf("the share of %s goes up from %s to %s %%", w.Version, planner.Percent(current),
			planner.Percent(w.Target))}
	}
	w.Risk = func(current float64) playbook.Risk {
		switch {
		case w.Target <= current:
			return playbook.RiskLow
		case *p.Gradual:
			return playbook.RiskMedium
		default:
			return playbook.RiskHigh
		}
	}
	w.Undo = func(before float64, _ string) *playbook.Rollback {
		atOnce := false
		return &playbook.Rollback{ActionType: ActionType, Params: Params{Version: w.Version, TargetPercent: &before,
			Gradual: &atOnce}}
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
