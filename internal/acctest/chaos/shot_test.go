package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

// victims lists which processes can be killed.
func victims() []string { return []string{"provider", "terraform", "both"} }

// shot is one attempt to kill. Exactly one of point, phase, spawn and start is set.
type shot struct {
	victim string
	// point is the engine's point, when it is reached for the nth time. after is the delay.
	point engine.Point
	nth   int
	after time.Duration
	// phase is the phase of the next change of the target.
	phase phase
	// spawn kills when dbt starts, before the provider knows about it.
	spawn bool
	// start is the delay after Terraform's start.
	start time.Duration
}

// where names the kind of kill for the statistics.
func (s shot) where() string {
	switch {
	case s.phase != "":
		return "target: " + string(s.phase)
	case s.spawn:
		return "target: dbt starts"
	case s.point == "":
		return "any time"
	case s.after > 0:
		return "after " + string(s.point)
	default:
		return "at " + string(s.point)
	}
}

// String describes the shot completely, for the report of a violation.
func (s shot) String() string {
	text := s.victim + " killed: " + s.where()
	if s.nth > 1 {
		text += fmt.Sprintf(", time %d", s.nth)
	}
	if d := s.after + s.start; d > 0 {
		text += fmt.Sprintf(", %s later", d.Round(time.Millisecond/10))
	}
	return text
}

// adopting reports whether the shot needs an open execution.
func (s shot) adopting() bool { return s.point == engine.PointAdopt || s.point == engine.PointAdopted }

// deck deals shots: each kind once, in random order, and then again.
type deck struct {
	rng *rand.Rand
	// takes is roughly how long an execution takes, from its first point to its end. apply is the same for a whole
	// apply.
	takes, apply time.Duration
	// changes reports that the target's changes are recorded, spawns that they are processes.
	changes, spawns bool
	// steps is how often an execution passes PointProgress.
	steps int
	left  []shot
}

// deal returns the next shot that can hit. open reports whether there is an execution to adopt.
func (d *deck) deal(open bool) shot {
	for {
		i := slices.IndexFunc(d.left, func(s shot) bool { return open || !s.adopting() })
		if i < 0 {
			d.left = append(d.left, d.fresh()...)
			continue
		}
		// If there is an open execution, deal the shots that need one first, because it may not stay open for long.
		if j := slices.IndexFunc(d.left, shot.adopting); open && j >= 0 && d.rng.IntN(2) == 0 {
			i = j
		}
		s := d.left[i]
		d.left = slices.Delete(d.left, i, i+1)
		return s
	}
}

func (d *deck) fresh() []shot {
	var out []shot
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(d.rng.Int64N(int64(high-low))) }
	for _, v := range victims() {
		for _, p := range engine.Points() {
			s := shot{victim: v, point: p, nth: 1}
			if p == engine.PointProgress {
				if d.steps == 0 {
					continue
				}
				s.nth = 1 + d.rng.IntN(d.steps)
			}
			out = append(out, s)
		}
		for _, p := range []engine.Point{engine.PointIntent, engine.PointDispatch, engine.PointRemoteID} {
			out = append(out, shot{victim: v, point: p, nth: 1, after: between(time.Microsecond, d.takes)})
		}
		if d.changes {
			for _, p := range phases() {
				out = append(out, shot{victim: v, phase: p})
			}
		}
		const early = 50 * time.Millisecond
		out = append(out, shot{victim: v, start: between(early, d.apply)})
	}
	if d.spawns {
		out = append(out, shot{victim: "provider", spawn: true}, shot{victim: "both", spawn: true})
	}
	d.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
