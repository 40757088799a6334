package planner

import (
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	splitType = "adjust_canary_split"
	// DefaultSplitDuration is how long a gradual split takes by default; from the playbooks' specification, as are the
	// other estimates of this package.
	DefaultSplitDuration = "10m"
	immediateSplit       = time.Minute
)

// NewSplit returns the playbook adjust_canary_split.
func NewSplit(p target.Planner, clk clock.Clock) playbook.Playbook {
	return bind(DescribeSplit(), p, clk)
}

// DescribeSplit returns adjust_canary_split without its target.
func DescribeSplit() playbook.Definition[splitParams] {
	return playbook.Definition[splitParams]{
		Page: playbook.Metadata{
			ActionType: splitType,
			Summary: "moves a canary's share of the traffic, gradually under guardrails or at once; the stable " +
				"version takes the rest",
			Use: []string{"a healthy canary that should get more traffic",
				"a canary that regresses and should get less traffic"},
			Approval: "needed when the share goes up",
			Duration: DefaultSplitDuration + " gradual, 1m immediate", Cost: "USD 0.00",
			Undo: splitUndo, CanUndo: true,
		},
		Defaults: splitParams{Gradual: true, pace: defaultPace(DefaultSplitDuration)},
		Validate: splitParams.validate,
	}
}

const splitUndo = "back to the original percent"

// splitParams are the inputs of adjust_canary_split.
type splitParams struct {
	Version       string   `json:"version"`
	TargetPercent *float64 `json:"target_percent"`
	Gradual       bool     `json:"gradual"`
	pace
	// Restore is the planner's state before the move that this undoes. Only undo actions set it.
	Restore target.State `json:"restore,omitempty"`
}

func (p splitParams) validate() (splitParams, error) {
	if err := checkVersion("version", p.Version); err != nil {
		return p, err
	}
	if p.TargetPercent == nil {
		return p, playbook.Invalid("Must be between 0 and 100.", "target_percent is not set.", "target_percent")
	}
	if err := checkPercent("target_percent", *p.TargetPercent); err != nil {
		return p, err
	}
	var err error
	if p.pace, err = p.check(); err != nil {
		return p, err
	}
	if !p.Gradual || p.Restore != nil {
		p.pace = defaultPace(DefaultSplitDuration)
	}
	return p, nil
}

func (p splitParams) move() Move {
	m := Move{Version: p.Version, VersionInput: "version", TargetInput: "target_percent", Target: *p.TargetPercent,
		Estimate: immediateSplit, Undoing: splitUndo, Restore: p.Restore}
	if p.Gradual && p.Restore == nil {
		m.Pace = p.pace
	}
	return m
}

func (p splitParams) approvals(_ Facts, current float64) []string {
	if *p.TargetPercent-current <= target.Tolerance {
		return nil
	}
	return []string{fmt.Sprintf("the share of %s goes up from %s to %s", p.Version, target.Percent(current),
		target.Percent(*p.TargetPercent))}
}

func (p splitParams) risk(current float64) playbook.Risk {
	switch {
	case *p.TargetPercent <= current:
		return playbook.RiskLow
	case p.Gradual:
		return playbook.RiskMedium
	default:
		return playbook.RiskHigh
	}
}

func (p splitParams) undo(f Facts, before target.State) *playbook.Rollback {
	return &playbook.Rollback{ActionType: splitType, Params: splitUndoParams{Version: p.Version,
		TargetPercent: f.CurrentPercent, Restore: before}}
}

// splitUndoParams are the inputs of adjust_canary_split that reverse a move, at once.
type splitUndoParams struct {
	Version       string       `json:"version"`
	TargetPercent float64      `json:"target_percent"`
	Gradual       bool         `json:"gradual"`
	Restore       target.State `json:"restore,omitempty"`
}
