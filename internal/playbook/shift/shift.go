// Package shift is what the playbooks that move traffic have in common: one version's share goes from what it is to a
// target, at once or in steps, and the stable version takes the rest. It never jumps: each step starts from the split
// that it left, and stops where somebody else has moved it.
package shift

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Bounds and defaults of gradual changes.
const (
	DefaultSteps = 5
	MaxSteps     = 100
	// MinInterval is the shortest time between two steps: less tells no metric anything.
	MinInterval = time.Second
	// MaxDuration bounds a gradual change, since its apply waits for it.
	MaxDuration = 24 * time.Hour
)

// Pace is how fast the share moves.
type Pace struct {
	// Over is how long a gradual change takes, its last step's watch included. Zero: at once.
	Over  time.Duration
	Steps int
}

// NewPace checks a gradual change's duration, such as "10m", and its number of steps.
func NewPace(over string, steps int) (Pace, error) {
	d, err := time.ParseDuration(over)
	switch {
	case err != nil:
		return Pace{}, playbook.Invalid("Write a duration such as 10m.", err.Error()+".", "gradual_duration")
	case steps < 1 || steps > MaxSteps:
		return Pace{}, playbook.Invalid(fmt.Sprintf("Allowed are 1 to %d.", MaxSteps),
			fmt.Sprintf("steps is %d.", steps), "steps")
	case d <= 0 || d > MaxDuration:
		return Pace{}, playbook.Invalid(fmt.Sprintf("Allowed is more than 0, up to %s. For a change at once leave "+
			"the gradual one out.", MaxDuration),
			"gradual_duration is "+over+".", "gradual_duration")
	case d < time.Duration(steps)*MinInterval:
		return Pace{}, playbook.Invalid(fmt.Sprintf("Allow %s a step, or take fewer steps.", MinInterval),
			fmt.Sprintf("gradual_duration is %s, which is too short for %d steps.", over, steps), "gradual_duration")
	}
	return Pace{Over: d, Steps: steps}, nil
}

// CheckPercent checks an input that is a share.
func CheckPercent(name string, v float64) error {
	if math.IsNaN(v) || v < 0 || v > planner.Whole {
		return playbook.Invalid("Allowed is 0 to 100.", name+" is "+strconv.FormatFloat(v, 'g', -1, floatBits)+".",
			name)
	}
	return nil
}

const floatBits = 64

// CheckVersion checks an input that is a version.
func CheckVersion(name, v string) error {
	if why := planner.CheckName(v); why != "" {
		return playbook.Invalid("Name a version that the planner knows.", name+" "+why+".", name)
	}
	return nil
}

// Step is one step of a schedule.
type Step struct {
	// AfterSeconds is when it is taken, from the start.
	AfterSeconds int64 `json:"after_seconds"`
	// Percent is the share of the version that is moved.
	Percent float64 `json:"percent"`
}

// schedule spreads the way from one share to another over steps. Shares are whole percents where steps are that large,
// else parts that the planner can set; steps that would change nothing are left out.
func (p Pace) schedule(from, to, resolution float64) []Step {
	if math.Abs(to-from) <= planner.Tolerance {
		return []Step{}
	}
	if p.Over == 0 {
		return []Step{{Percent: to}}
	}
	unit := 1.0
	if math.Abs(to-from)/float64(p.Steps) < unit || math.Abs(from-math.Round(from)) > planner.Tolerance {
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
		if math.Abs(share-last) > planner.Tolerance {
			shares = append(shares, share)
			last = share
		}
	}
	steps := make([]Step, len(shares))
	for i, share := range shares {
		after := p.interval(len(shares)) * time.Duration(i)
		steps[i] = Step{AfterSeconds: int64(after / time.Second), Percent: share}
	}
	return steps
}

// interval is how long each of so many steps is watched.
func (p Pace) interval(steps int) time.Duration {
	if steps == 0 {
		return 0
	}
	return p.Over / time.Duration(steps)
}

// clean takes away what binary fractions add.
func clean(v float64) float64 {
	const scale = 1e6
	return math.Round(v*scale) / scale
}

// Wish is a move of one version's share.
type Wish struct {
	// Version is moved to Target percent. VersionInput, TargetInput and StableInput are the inputs that say so, and
	// that name Stable, or empty.
	Version                                string
	VersionInput, TargetInput, StableInput string
	Target                                 float64
	// Stable takes the rest. Empty: the planner's stable version.
	Stable string
	Pace   Pace
	// Deploy brings the version up first; Decommission takes it down at the end.
	Deploy, Decommission bool
	// Estimate is the duration of a change at once.
	Estimate time.Duration
	// Watched tells that the share is what the resource stands for, so that it is looked at again later.
	Watched bool
	// Approval says why a change from the current share needs one.
	Approval func(current float64) []string
	// Risk is that of a change from the current share.
	Risk func(current float64) playbook.Risk
	// Undo takes the change back to the share of before.
	Undo func(before float64, stable string) *playbook.Rollback
	// Undoing says so in a phrase.
	Undoing string
}

// NewAction returns the action that fulfils the wish.
func NewAction(p planner.Planner, clk clock.Clock, w Wish) playbook.Action {
	return action{planner: p, clock: clk, wish: w}
}
