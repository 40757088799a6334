package planner

import (
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	deployType = "deploy_planner"
	// deployEstimate equals the estimate of an immediate split, with which a deployment ends.
	deployEstimate = immediateSplit
	deployUndo     = "roll back (" + rollbackType + ")"
)

// NewDeploy returns the playbook deploy_planner.
func NewDeploy(p target.Planner, clk clock.Clock) playbook.Playbook {
	return bind(DescribeDeploy(), p, clk)
}

// DescribeDeploy returns deploy_planner without its target.
func DescribeDeploy() playbook.Definition[deployParams] {
	return playbook.Definition[deployParams]{
		Page: playbook.Metadata{
			ActionType: deployType,
			Summary:    "deploys a version that the planner knows, with an initial share of the traffic",
			Use:        []string{"a new canary", "a canary that is deployed again after a rollback"},
			Approval:   "needed when it gets traffic",
			Duration:   "1m", Cost: "USD 0.00",
			Undo: deployUndo, CanUndo: true,
		},
		Validate: deployParams.validate,
	}
}

// deployParams are the inputs of deploy_planner.
type deployParams struct {
	Version        string  `json:"version"`
	InitialPercent float64 `json:"initial_percent"`
	// Restore is the planner's state before the rollback that this undoes. Only undo actions set it.
	Restore target.State `json:"restore,omitempty"`
}

func (p deployParams) validate() (deployParams, error) {
	if err := checkVersion("version", p.Version); err != nil {
		return p, err
	}
	return p, checkPercent("initial_percent", p.InitialPercent)
}

func (p deployParams) move() Move {
	return Move{Version: p.Version, VersionInput: "version", TargetInput: "initial_percent", Target: p.InitialPercent,
		Estimate: deployEstimate, Deploy: true, Undoing: deployUndo, Restore: p.Restore}
}

func (p deployParams) approvals(_ Facts, current float64) []string {
	if p.InitialPercent-current <= target.Tolerance {
		return nil
	}
	return []string{fmt.Sprintf("%s gets %s of the traffic at once", p.Version, target.Percent(p.InitialPercent))}
}

func (p deployParams) risk(float64) playbook.Risk {
	if p.InitialPercent > 0 {
		return playbook.RiskMedium
	}
	return playbook.RiskLow
}

func (p deployParams) undo(f Facts, before target.State) *playbook.Rollback {
	return &playbook.Rollback{ActionType: rollbackType, Params: rollbackUndoParams{FromVersion: p.Version,
		ToVersion: f.StableVersion, Immediate: p.InitialPercent > 0, Restore: before}}
}

// rollbackUndoParams are the inputs of rollback_planner that reverse a deployment.
type rollbackUndoParams struct {
	FromVersion string       `json:"from_version"`
	ToVersion   string       `json:"to_version"`
	Immediate   bool         `json:"immediate,omitempty"`
	Restore     target.State `json:"restore,omitempty"`
}
