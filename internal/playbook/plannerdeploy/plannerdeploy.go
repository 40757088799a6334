// Package plannerdeploy is the playbook deploy_planner: it brings a version up, with a first share of the traffic.
package plannerdeploy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/plannerrollback"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/shift"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// ActionType is the playbook's name in the history.
const ActionType = plannerrollback.Deploy

// estimate is as long as that of an immediate change of the split, which is what a deployment ends with.
const estimate = time.Minute

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
		Summary:    "brings a version that the planner knows up, with a first share of the traffic",
		Use:        []string{"a new canary", "a canary that comes back after a rollback"},
		Approval:   "needed when it gets traffic",
		Duration:   "1m", Cost: "USD 0.00",
		Undo: "roll back (" + plannerrollback.ActionType + ")", CanUndo: true,
	}
}

// Metadata implements playbook.Playbook.
func (b book) Metadata() playbook.Metadata { return Describe() }

// params are the playbook's inputs.
type params struct {
	Version        string  `json:"version"`
	InitialPercent float64 `json:"initial_percent"`
}

// Check checks inputs without any I/O.
func Check(raw json.RawMessage) error {
	_, err := parse(raw)
	return err
}

func parse(raw json.RawMessage) (shift.Wish, error) {
	var p params
	if err := playbook.Decode(raw, &p); err != nil {
		return shift.Wish{}, err
	}
	if err := shift.CheckVersion("version", p.Version); err != nil {
		return shift.Wish{}, err
	}
	if err := shift.CheckPercent("initial_percent", p.InitialPercent); err != nil {
		return shift.Wish{}, err
	}
	w := shift.Wish{Version: p.Version, VersionInput: "version", TargetInput: "initial_percent",
		Target: p.InitialPercent, Estimate: estimate, Deploy: true, Undoing: Describe().Undo}
	w.Approval = func(current float64) []string {
		if p.InitialPercent-current <= planner.Tolerance {
			return nil
		}
		return []string{fmt.Sprintf("%s gets %s %% of the traffic at once", p.Version,
			planner.Percent(p.InitialPercent))}
	}
	w.Risk = func(float64) playbook.Risk {
		if p.InitialPercent > 0 {
			return playbook.RiskMedium
		}
		return playbook.RiskLow
	}
	w.Undo = func(_ float64, stable string) *playbook.Rollback {
		return &playbook.Rollback{ActionType: plannerrollback.ActionType, Params: plannerrollback.Params{
			FromVersion: p.Version, ToVersion: stable, Immediate: p.InitialPercent > 0,
		}}
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
