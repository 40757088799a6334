package planner

import (
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	rollbackType = "rollback_planner"
	// DefaultRollbackDuration is how long a gradual rollback takes by default.
	DefaultRollbackDuration = "15m"
	immediateRollback       = 30 * time.Second
	rollbackUndo            = "deploy the canary again (" + deployType + ")"
)

// NewRollback returns the playbook rollback_planner.
func NewRollback(p target.Planner, clk clock.Clock) playbook.Playbook {
	return bind(DescribeRollback(), p, clk)
}

// DescribeRollback returns rollback_planner without its target.
func DescribeRollback() playbook.Definition[rollbackParams] {
	return playbook.Definition[rollbackParams]{
		Page: playbook.Metadata{
			ActionType: rollbackType,
			Summary: "moves all traffic from a canary to the stable version, gradually or at once, and " +
				"decommissions the canary",
			Use: []string{
				"a canary regression: accuracy down more than 10%, latency up more than 50%, error rate up",
				"immediately for a SEV1, an error rate over 10% or a risk of corrupt data",
			},
			Approval: "needed when it is immediate",
			Duration: DefaultRollbackDuration + " gradual, 30s immediate", Cost: "USD 0.00",
			Undo: rollbackUndo, CanUndo: true,
		},
		Defaults: rollbackParams{pace: defaultPace(DefaultRollbackDuration)},
		Validate: rollbackParams.validate,
	}
}

// rollbackParams are the inputs of rollback_planner.
type rollbackParams struct {
	FromVersion string `json:"from_version"`
	// ToVersion takes the traffic. Empty: the planner's stable version.
	ToVersion string `json:"to_version"`
	Immediate bool   `json:"immediate"`
	pace
	// Restore is the planner's state before the deployment that this undoes. Only undo actions set it.
	Restore target.State `json:"restore,omitempty"`
}

func (p rollbackParams) validate() (rollbackParams, error) {
	if err := checkVersion("from_version", p.FromVersion); err != nil {
		return p, err
	}
	if p.ToVersion != "" {
		if err := checkVersion("to_version", p.ToVersion); err != nil {
			return p, err
		}
	}
	if p.FromVersion == p.ToVersion {
		return p, playbook.Invalid("Name two versions.",
			fmt.Sprintf("from_version and to_version are both %s.", p.FromVersion), "to_version")
	}
	var err error
	if p.pace, err = p.check(); err != nil {
		return p, err
	}
	if p.Immediate || p.Restore != nil {
		p.pace = defaultPace(DefaultRollbackDuration)
	}
	return p, nil
}

func (p rollbackParams) move() Move {
	m := Move{
		Version: p.FromVersion, VersionInput: "from_version", Stable: p.ToVersion, StableInput: "to_version",
		Target: 0, Estimate: immediateRollback, Decommission: true, Undoing: rollbackUndo, Restore: p.Restore,
	}
	if !p.Immediate && p.Restore == nil {
		m.Pace = p.pace
	}
	return m
}

func (p rollbackParams) approvals(f Facts, _ float64) []string {
	if !p.Immediate {
		return nil
	}
	return []string{fmt.Sprintf("an immediate rollback moves all traffic from %s to %s at once", p.FromVersion,
		f.StableVersion)}
}

func (p rollbackParams) risk(float64) playbook.Risk {
	if p.Immediate {
		return playbook.RiskHigh
	}
	return playbook.RiskMedium
}

func (p rollbackParams) undo(f Facts, before target.State) *playbook.Rollback {
	return &playbook.Rollback{ActionType: deployType, Params: deployParams{Version: p.FromVersion,
		InitialPercent: f.CurrentPercent, Restore: before}}
}
