package planner

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Facts are what must still be true at apply.
type Facts struct {
	CurrentPercent      float64 `json:"current_percent"`
	TargetPercent       float64 `json:"target_percent"`
	StableVersion       string  `json:"stable_version"`
	StablePercentBefore float64 `json:"stable_percent_before"`
	StablePercentAfter  float64 `json:"stable_percent_after"`
	Schedule            []Step  `json:"schedule"`
	// Deploy and Decommission report whether the version is brought up first or taken down at the end.
	Deploy       bool `json:"deploy"`
	Decommission bool `json:"decommission"`
}

type action struct {
	planner target.Planner
	clock   clock.Clock
	move    Move
	rules   rules
}

// Target implements playbook.Logic.
func (a action) Target(ctx context.Context) (string, error) { return a.planner.Name(ctx) }

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	split, err := a.planner.Read(ctx)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	return a.preview(split)
}

// PreviewAfter implements playbook.Follower: it starts from the split that an earlier move will leave.
func (a action) PreviewAfter(_ context.Context, projection json.RawMessage) (playbook.Preview, Facts, error) {
	var split target.Split
	if err := json.Unmarshal(projection, &split); err != nil {
		return playbook.Preview{}, Facts{}, fmt.Errorf("%w: %w", playbook.ErrNotProjected, err)
	}
	return a.preview(split)
}

func (a action) preview(split target.Split) (playbook.Preview, Facts, error) {
	facts, err := a.facts(split)
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	m := a.move
	felt := facts.CurrentPercent
	if facts.Deploy {
		felt = 0 // a share of a version that is down has no effect
	}
	p := playbook.Preview{
		Summary: fmt.Sprintf("Will move %s from %s to %s of the traffic", m.Version,
			target.Percent(facts.CurrentPercent), target.Percent(facts.TargetPercent)),
		Affected: []string{"planner", m.Version, facts.StableVersion}, Risk: a.rules.risk(felt),
		ApprovalReasons: a.rules.approvals(facts, felt), RollbackAvailable: true, Undo: m.Undoing,
		Warnings: a.notes(split), NotDone: split.NotDone, Duration: m.Estimate,
		Locks: split.Aliases, Identity: split.Identity,
		Content: content{State: split.State, Router: split.Content}, Exposure: exposure(felt, m.Target),
	}
	if m.Pace.over() > 0 && len(facts.Schedule) > 0 {
		p.Duration, p.Waits = m.Pace.over(), m.Pace.over()
	}
	if len(facts.Schedule) > 0 {
		p.Step = m.Pace.stands(facts.Schedule, 0)
	}
	if p.Commands, err = a.commands(split, facts); err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	p.Changes = a.changes(facts)
	if len(p.Commands) == 0 {
		p.Summary = fmt.Sprintf("Nothing to do: %s has %s of the traffic already", m.Version,
			target.Percent(facts.TargetPercent))
		p.Changes, p.Duration, p.Risk, p.ApprovalReasons = []string{p.Summary}, 0, playbook.RiskLow, nil
		p.RollbackAvailable, p.Undo, p.Exposure, p.Keeps = false, "nothing to take back", "", true
		return p, facts, nil
	}
	before := split.State
	if split.Plain {
		before = nil
	}
	p.Rollback = a.rules.undo(facts, before)
	if after, ok := target.Project(a.planner, split, a.effect(facts)); ok {
		p.Projection = after
	}
	return p, facts, nil
}

// effect describes the whole move for target.Project.
func (a action) effect(f Facts) target.Effect {
	if a.move.Restore != nil {
		return target.Effect{Restore: a.move.Restore}
	}
	var e target.Effect
	if f.Deploy {
		e.Deploy = a.move.Version
	}
	if f.Decommission {
		e.Decommission = a.move.Version
	}
	if len(f.Schedule) > 0 {
		e.Shares = a.move.shares(f.StableVersion, f.TargetPercent)
	}
	return e
}

func exposure(from, to float64) playbook.Exposure {
	switch {
	case to-from > target.Tolerance:
		return playbook.ExposureUp
	case from-to > target.Tolerance:
		return playbook.ExposureDown
	default:
		return ""
	}
}

// facts computes the move, and refuses what can't be done.
func (a action) facts(split target.Split) (Facts, error) {
	m := a.move
	stable, err := m.counterpart(split)
	if err != nil {
		return Facts{}, err
	}
	now := split.Shares[m.Version]
	f := Facts{
		CurrentPercent: now, TargetPercent: m.Target, StableVersion: stable, StablePercentBefore: split.Shares[stable],
		StablePercentAfter: clean(target.Whole - m.Target), Schedule: m.Pace.schedule(now, m.Target, split.Resolution),
		Deploy:       m.Deploy && (!split.Deployed(m.Version) || slices.Contains(split.Draining, m.Version)),
		Decommission: m.Decommission && split.Deployed(m.Version),
	}
	if m.Restore != nil {
		return a.restoration(split, f)
	}
	if m.Deploy && !f.Deploy && len(f.Schedule) > 0 && now > target.Tolerance {
		return Facts{}, &problem.Problem{
			What: fmt.Sprintf("Version %s is deployed already", m.Version),
			Why:  fmt.Sprintf("It has %s of the traffic.", target.Percent(now)),
			Next: "Move its share with remediation_canary_split.", Path: []string{m.VersionInput}, Err: errDeployed,
		}
	}
	if f.Deploy {
		split.Down = slices.DeleteFunc(slices.Clone(split.Down), func(v string) bool { return v == m.Version })
	}
	for _, step := range f.Schedule {
		err := split.Validate(m.shares(stable, step.Percent))
		if err != nil && m.TargetInput != "" {
			return f, problem.At(err, m.TargetInput)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// restoration computes a move that restores a state.
func (a action) restoration(split target.Split, f Facts) (Facts, error) {
	_, shares, err := a.planner.Restoring(split, a.move.Restore)
	if err != nil {
		return f, problem.At(err, "restore")
	}
	version, share := a.move.Version, shares[a.move.Version]
	after, known := target.Project(a.planner, split, target.Effect{Restore: a.move.Restore})
	drains := slices.Contains(after.Draining, version)
	idle := known && (drains || !after.Deployed(version))
	f.Deploy = f.Deploy && !idle
	switch {
	case a.move.Decommission && idle: // its share has no effect
		f.TargetPercent, f.Decommission = share, f.Decommission && !drains
	case math.Abs(share-a.move.Target) > target.Tolerance:
		return f, playbook.Invalid("Remove it: only the provider sets it, in the undo action of an execution.",
			fmt.Sprintf("It gives %s %s of the traffic, and the target is %s.", version, target.Percent(share),
				target.Percent(a.move.Target)), "restore")
	}
	f.StablePercentAfter, f.Schedule = shares[f.StableVersion], []Step{}
	if !target.SameState(split.State, a.move.Restore) {
		f.Schedule = []Step{{Percent: f.TargetPercent}}
	}
	return f, nil
}

// shares returns the split in which the version has this share and stable the rest.
func (m Move) shares(stable string, percent float64) map[string]float64 {
	return map[string]float64{m.Version: percent, stable: clean(target.Whole - percent)}
}

// counterpart returns the version that takes the rest of the traffic. It refuses versions between which no traffic can
// be moved.
func (m Move) counterpart(split target.Split) (string, error) {
	if err := split.Check(m.Version); err != nil {
		return "", problem.At(err, m.VersionInput)
	}
	if m.Version == split.Stable {
		return "", &problem.Problem{
			What: fmt.Sprintf("Version %s is not a canary",
				m.Version), Why: "It is the planner's stable version, which gets the traffic that the canary does not.",
			Next: "Name one of: " + strings.Join(others(split, m.Version),
				", ") + ".", Path: []string{m.VersionInput}, Err: errNotCanary,
		}
	}
	stable := m.Stable
	if stable == "" {
		stable = split.Stable
	}
	if stable == "" {
		var err error
		if stable, err = guess(split, m.Version); err != nil {
			return "", err
		}
	}
	for _, err := range []error{split.Check(stable), split.CheckUp(stable)} {
		if err != nil && m.StableInput != "" {
			return "", problem.At(err, m.StableInput)
		}
		if err != nil {
			return "", err
		}
	}
	if m.Target > 0 && !m.Deploy && !split.Latent && m.Restore == nil {
		if err := split.CheckUp(m.Version); err != nil {
			return "", problem.At(err, m.VersionInput)
		}
	}
	for _, v := range others(split, m.Version) {
		if v != stable && split.Shares[v] > target.Tolerance && m.Restore == nil {
			return "", &problem.Problem{
				What: "A third version has traffic", Why: fmt.Sprintf("The split is %s.", target.Text(split.Shares)),
				Next: fmt.Sprintf("Only %s and %s would be moved, so bring %s to 0%% first.", m.Version, stable,
					v), Err: target.ErrShares,
			}
		}
	}
	return stable, nil
}

// guess returns the counterpart if the planner names no stable version: the only other version with traffic, or the
// only other version.
func guess(split target.Split, version string) (string, error) {
	up := slices.DeleteFunc(others(split, version), func(v string) bool { return !split.Deployed(v) })
	busy := slices.DeleteFunc(slices.Clone(up), func(v string) bool { return split.Shares[v] <= target.Tolerance })
	switch {
	case len(busy) == 1:
		return busy[0], nil
	case len(busy) == 0 && len(up) == 1:
		return up[0], nil
	}
	return "", &problem.Problem{
		What: "It is not clear which version is the stable one", Why: fmt.Sprintf("The split is %s.",
			target.Text(split.Shares)),
		Next: "Name the stable version in the provider's planner block.", Err: target.ErrShares,
	}
}

func others(split target.Split, version string) []string {
	return slices.DeleteFunc(split.Versions(), func(v string) bool { return v == version })
}

func (a action) notes(split target.Split) []string {
	notes := slices.Clone(split.Notes)
	if split.ReadOnly != "" {
		notes = append(notes, split.ReadOnly+" Apply would refuse to move traffic.")
	}
	if split.Latent && !a.move.Deploy && !a.move.Decommission && !split.Deployed(a.move.Version) {
		notes = append(notes, fmt.Sprintf("%s is switched off, so its share has no effect until it is deployed again.",
			a.move.Version))
	}
	return notes
}

func (a action) commands(split target.Split, f Facts) ([]string, error) {
	if a.move.Restore != nil {
		line, _, err := a.planner.Restoring(split, a.move.Restore)
		if err != nil || len(f.Schedule) == 0 {
			return nil, err
		}
		return []string{line}, nil
	}
	var out []string
	if f.Deploy {
		out = append(out, "deploy "+a.move.Version)
	}
	for _, step := range f.Schedule {
		out = append(out, a.planner.Command(split, a.move.shares(f.StableVersion, step.Percent)))
	}
	if f.Decommission {
		out = append(out, "decommission "+a.move.Version)
	}
	return out, nil
}

func (a action) changes(f Facts) []string {
	var out []string
	if f.Deploy {
		out = append(out, fmt.Sprintf("%s is deployed", a.move.Version))
	}
	if len(f.Schedule) > 0 {
		out = append(out,
			fmt.Sprintf("Traffic of %s: %s to %s", a.move.Version, target.Percent(f.CurrentPercent),
				target.Percent(f.TargetPercent)),
			fmt.Sprintf("Traffic of stable %s: %s to %s", f.StableVersion, target.Percent(f.StablePercentBefore),
				target.Percent(f.StablePercentAfter)),
			a.mode(f), "Monitor for regressions during the shift")
	}
	if f.Decommission {
		out = append(out, fmt.Sprintf("%s is decommissioned at the end", a.move.Version))
	}
	return out
}

func (a action) mode(f Facts) string {
	switch {
	case a.move.Restore != nil:
		return "Immediate: restores the previous configured weights and states"
	case a.move.Pace.over() == 0:
		return "Immediate: in one step"
	}
	shares := make([]string, len(f.Schedule))
	for i, step := range f.Schedule {
		shares[i] = target.Percent(step.Percent)
	}
	last := len(f.Schedule) - 1
	return fmt.Sprintf("Gradual: %s, each watched for %s", strings.Join(shares, ", "),
		text.Duration(a.move.Pace.stands(f.Schedule, last)))
}

// before returns the split at which the move began.
func (f Facts) before(m Move) map[string]float64 {
	return maps.Clone(map[string]float64{m.Version: f.CurrentPercent, f.StableVersion: f.StablePercentBefore})
}
