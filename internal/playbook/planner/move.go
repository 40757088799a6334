// Package planner contains the playbooks that move traffic: adjust_canary_split, rollback_planner, and deploy_planner.
// Each is a Move: the share of one version goes to a target, at once or in steps, and the stable version takes the
// rest. Each step starts from the split that the last one left, and the move stops if someone else has changed it.
package planner

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Bounds and defaults of gradual moves.
const (
	DefaultSteps = 5
	MaxSteps     = 100
	// minInterval is the shortest time between two steps: metrics show nothing in less.
	minInterval = time.Second
	// maxDuration bounds a gradual move, because its apply waits for it.
	maxDuration = 24 * time.Hour
)

// Move is a change of a version's share of traffic.
type Move struct {
	// Version is moved to Target percent. VersionInput, TargetInput, and StableInput are the inputs that set Version,
	// Target, and Stable, or empty.
	Version                                string
	VersionInput, TargetInput, StableInput string
	Target                                 float64
	// Stable takes the rest. Empty: the planner's stable version.
	Stable string
	// Restore is the state to restore instead of setting shares: raw weights and administrative states before another
	// move. Nil: none.
	Restore target.State
	// Pace is how fast the share moves. Zero: at once.
	Pace pace
	// Deploy brings the version up first; Decommission takes it down at the end.
	Deploy, Decommission bool
	// Estimate is the duration of an immediate move.
	Estimate time.Duration
	// Undoing says in a phrase how the move is undone.
	Undoing string
}

// rules are what each playbook decides about its move.
type rules interface {
	// approvals says why a move from the current share needs an approval. Empty: it needs none.
	approvals(f Facts, current float64) []string
	// risk returns the risk of a move from the current share.
	risk(current float64) playbook.Risk
	// undo returns the action that reverses the move. The state is the one before the move, or nil if setting shares is
	// enough to return to it.
	undo(Facts, target.State) *playbook.Rollback
}

// inputs are the decoded inputs of a playbook.
type inputs interface {
	rules
	// move returns the move that the inputs ask for.
	move() Move
}

// bind returns the playbook with this definition, for a planner.
func bind[P inputs](d playbook.Definition[P], p target.Planner, clk clock.Clock) playbook.Playbook {
	return playbook.New(d, func(in P) playbook.Logic[Facts] {
		return action{planner: p, clock: clk, move: in.move(), rules: in}
	})
}

// pace is how fast a gradual move is.
type pace struct {
	// Duration is how long the move takes, including the wait after the last step, such as "10m".
	Duration string `json:"gradual_duration"`
	Steps    int    `json:"steps"`
}

// defaultPace returns a pace with a duration, which must be valid, and DefaultSteps, in its normal form.
func defaultPace(duration string) pace {
	p, err := pace{Duration: duration, Steps: DefaultSteps}.check()
	if err != nil {
		return pace{Duration: duration, Steps: DefaultSteps}
	}
	return p
}

// check returns the pace in its normal form.
func (p pace) check() (pace, error) {
	d, err := time.ParseDuration(p.Duration)
	switch {
	case err != nil:
		return p, playbook.Invalid("Write a duration such as 10m.",
			fmt.Sprintf("%q is not a valid duration.", p.Duration), "gradual_duration")
	case p.Steps < 1 || p.Steps > MaxSteps:
		return p, playbook.Invalid(fmt.Sprintf("Must be between 1 and %d.", MaxSteps),
			fmt.Sprintf("steps is %d.", p.Steps), "steps")
	case d <= 0 || d > maxDuration:
		return p, playbook.Invalid(fmt.Sprintf("Must be more than 0 and at most %s. For an immediate move, set "+
			"gradual = false; for an immediate rollback, set immediate = true.", text.Duration(maxDuration)),
			"gradual_duration is "+p.Duration+".", "gradual_duration")
	case d < time.Duration(p.Steps)*minInterval:
		return p, playbook.Invalid(fmt.Sprintf("Allow %s per step, or take fewer steps.", minInterval),
			fmt.Sprintf("gradual_duration is %s, which is too short for %d steps.", p.Duration, p.Steps),
			"gradual_duration")
	}
	p.Duration = d.String()
	return p, nil
}

// over returns how long the whole move takes. Zero: it is made at once.
func (p pace) over() time.Duration {
	d, err := time.ParseDuration(p.Duration)
	if err != nil {
		return 0 // an empty pace; check has refused everything else
	}
	return d
}

// checkPercent checks an input that is a share.
func checkPercent(name string, v float64) error {
	if math.IsNaN(v) || v < 0 || v > target.Whole {
		return playbook.Invalid("Must be between 0 and 100.",
			name+" is "+strconv.FormatFloat(v, 'g', -1, floatBits)+".", name)
	}
	return nil
}

const floatBits = 64

// checkVersion checks an input that is a version.
func checkVersion(name, v string) error {
	if why := target.CheckName(v); why != "" {
		return playbook.Invalid("Name a version that the planner knows.", name+" "+why+".", name)
	}
	return nil
}

// Step is one step of a schedule.
type Step struct {
	// AfterSeconds is when the step is taken, in seconds from the start. The step before lasts until then.
	AfterSeconds int64 `json:"after_seconds"`
	// Percent is the share of the version that moves.
	Percent float64 `json:"percent"`
}

// schedule divides the move from one share to another into steps. Shares are whole percents if the steps are large
// enough, otherwise multiples of what the planner can set. Steps that would change nothing are left out.
func (p pace) schedule(from, to, resolution float64) []Step {
	if math.Abs(to-from) <= target.Tolerance {
		return []Step{}
	}
	if p.over() == 0 {
		return []Step{{Percent: to}}
	}
	unit := 1.0
	settable := target.Split{Resolution: resolution}.CanSet(unit)
	if !settable || math.Abs(to-from)/float64(p.Steps) < unit || math.Abs(from-math.Round(from)) > target.Tolerance {
		unit = resolution
	}
	var shares []float64
	last := from
	for i := 1; i <= p.Steps; i++ {
		share := to
		if i < p.Steps {
			share = from + (to-from)*float64(i)/float64(p.Steps)
			if unit > 0 {
				share = clean(math.Round(share/unit) * unit)
			}
		}
		if math.Abs(share-last) > target.Tolerance {
			shares = append(shares, share)
			last = share
		}
	}
	steps := make([]Step, len(shares))
	for i, share := range shares {
		after := p.over() / time.Duration(len(shares)) * time.Duration(i)
		steps[i] = Step{AfterSeconds: int64(after / time.Second), Percent: share}
	}
	return steps
}

// stands returns how long step i of the schedule lasts: until the next step, or the end of the move.
func (p pace) stands(schedule []Step, i int) time.Duration {
	at := time.Duration(schedule[i].AfterSeconds) * time.Second
	if i+1 < len(schedule) {
		return time.Duration(schedule[i+1].AfterSeconds)*time.Second - at
	}
	return max(0, p.over()-at)
}

// clean removes the rounding errors of binary fractions.
func clean(v float64) float64 {
	const scale = 1e6
	return math.Round(v*scale) / scale
}
