package shift

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Facts are what must still hold at apply.
type Facts struct {
	CurrentPercent      float64 `json:"current_percent"`
	TargetPercent       float64 `json:"target_percent"`
	StableVersion       string  `json:"stable_version"`
	StablePercentBefore float64 `json:"stable_percent_before"`
	StablePercentAfter  float64 `json:"stable_percent_after"`
	Schedule            []Step  `json:"schedule"`
	// Deploy and Decommission tell whether the version is brought up first or taken down at the end.
	Deploy       bool `json:"deploy"`
	Decommission bool `json:"decommission"`
}

type action struct {
	planner planner.Planner
	clock   clock.Clock
	wish    Wish
}

// Target implements playbook.Action.
func (a action) Target(ctx context.Context) (string, error) { return a.planner.Name(ctx) }

// Preview implements playbook.Action.
func (a action) Preview(ctx context.Context) (playbook.Preview, error) {
	split, err := a.planner.Read(ctx)
	if err != nil {
		return playbook.Preview{}, err
	}
	facts, err := a.facts(split)
	if err != nil {
		return playbook.Preview{}, err
	}
	w := a.wish
	felt := facts.CurrentPercent
	if facts.Deploy {
		felt = 0 // a share of a version that is down has had no effect
	}
	p := playbook.Preview{
		Summary: fmt.Sprintf("Will move %s from %s to %s %% of the traffic", w.Version,
			planner.Percent(facts.CurrentPercent), planner.Percent(w.Target)),
		Affected: []string{"planner", w.Version, facts.StableVersion}, Risk: w.Risk(felt),
		ApprovalReasons: w.Approval(felt), RollbackAvailable: true, Undo: w.Undoing,
		Facts: facts, Warnings: a.notes(split), Commands: a.commands(facts), Duration: w.Estimate,
	}
	if w.Pace.Over > 0 && len(facts.Schedule) > 0 {
		p.Duration = w.Pace.Over
	}
	p.Changes = a.changes(facts)
	if len(p.Commands) == 0 {
		p.Summary = fmt.Sprintf("Nothing to do: %s has %s %% of the traffic already", w.Version,
			planner.Percent(w.Target))
		p.Changes, p.Duration, p.Risk, p.ApprovalReasons = []string{p.Summary}, 0, playbook.RiskLow, nil
		p.RollbackAvailable, p.Undo = false, "nothing to take back"
	}
	return p, nil
}

// facts works the move out, and refuses what can't be done.
func (a action) facts(split planner.Split) (Facts, error) {
	w := a.wish
	stable, err := w.counterpart(split)
	if err != nil {
		return Facts{}, err
	}
	now := split.Shares[w.Version]
	f := Facts{
		CurrentPercent: now, TargetPercent: w.Target, StableVersion: stable, StablePercentBefore: split.Shares[stable],
		StablePercentAfter: clean(planner.Whole - w.Target), Schedule: w.Pace.schedule(now, w.Target, split.Resolution),
		Deploy: w.Deploy && !split.Deployed(w.Version), Decommission: w.Decommission && split.Deployed(w.Version),
	}
	if w.Deploy && !f.Deploy && len(f.Schedule) > 0 && now > planner.Tolerance {
		return Facts{}, &problem.Problem{
			What: fmt.Sprintf("Version %s is deployed already",
				w.Version), Why: fmt.Sprintf("It has %s %% of the traffic.", planner.Percent(now)),
			Next: "Move its share with remediation_canary_split.", Path: []string{w.VersionInput}, Err: errDeployed,
		}
	}
	if f.Deploy {
		split.Down = slices.DeleteFunc(slices.Clone(split.Down), func(v string) bool { return v == w.Version })
	}
	if err := split.Validate(w.shares(stable, w.Target)); err != nil && w.TargetInput != "" {
		return f, problem.At(err, w.TargetInput)
	} else if err != nil {
		return f, err
	}
	return f, nil
}

// shares is the split in which the version has so much and stable the rest.
func (w Wish) shares(stable string, percent float64) map[string]float64 {
	return map[string]float64{w.Version: percent, stable: clean(planner.Whole - percent)}
}

// counterpart is the version that takes the rest.
func (w Wish) counterpart(split planner.Split) (string, error) {
	if err := split.Check(w.Version); err != nil {
		return "", problem.At(err, w.VersionInput)
	}
	if w.Version == split.Stable {
		return "", &problem.Problem{
			What: fmt.Sprintf("Version %s is not a canary",
				w.Version), Why: "It is the stable version of the planner, which takes what the canary leaves.",
			Next: "Name one of: " + strings.Join(others(split, w.Version),
				", ") + ".", Path: []string{w.VersionInput}, Err: errNotCanary,
		}
	}
	stable := w.Stable
	if stable == "" {
		stable = split.Stable
	}
	if stable == "" {
		var err error
		if stable, err = guess(split, w.Version); err != nil {
			return "", err
		}
	}
	for _, err := range []error{split.Check(stable), split.CheckUp(stable)} {
		if err != nil && w.StableInput != "" {
			return "", problem.At(err, w.StableInput)
		}
		if err != nil {
			return "", err
		}
	}
	if w.Target > 0 && !w.Deploy && !split.Latent {
		if err := split.CheckUp(w.Version); err != nil {
			return "", problem.At(err, w.VersionInput)
		}
	}
	for _, v := range others(split, w.Version) {
		if v != stable && split.Shares[v] > planner.Tolerance {
			return "", &problem.Problem{
				What: "A third version has traffic", Why: fmt.Sprintf("The split is %s.", planner.Text(split.Shares)),
				Next: fmt.Sprintf("Only %s and %s would be moved, so bring %s to 0 %% first.", w.Version, stable,
					v), Err: planner.ErrShares,
			}
		}
	}
	return stable, nil
}

// guess finds the other side where the planner names no stable version: the only other one with traffic, or the only
// other one.
func guess(split planner.Split, version string) (string, error) {
	up := slices.DeleteFunc(others(split, version), func(v string) bool { return !split.Deployed(v) })
	busy := slices.DeleteFunc(slices.Clone(up), func(v string) bool { return split.Shares[v] <= planner.Tolerance })
	switch {
	case len(busy) == 1:
		return busy[0], nil
	case len(busy) == 0 && len(up) == 1:
		return up[0], nil
	}
	return "", &problem.Problem{
		What: "It is not clear which version is the stable one", Why: fmt.Sprintf("The split is %s.",
			planner.Text(split.Shares)),
		Next: "Name the stable version in the provider's planner block.", Err: planner.ErrShares,
	}
}

func others(split planner.Split, version string) []string {
	return slices.DeleteFunc(split.Versions(), func(v string) bool { return v == version })
}

func (a action) notes(split planner.Split) []string {
	notes := slices.Clone(split.Notes)
	if split.Latent && !a.wish.Deploy && !a.wish.Decommission && !split.Deployed(a.wish.Version) {
		notes = append(notes, fmt.Sprintf("%s is switched off, so its share has no effect until it is deployed again.",
			a.wish.Version))
	}
	return notes
}

func (a action) commands(f Facts) []string {
	var out []string
	if f.Deploy {
		out = append(out, "deploy "+a.wish.Version)
	}
	for _, step := range f.Schedule {
		out = append(out, a.planner.Command(a.wish.shares(f.StableVersion, step.Percent)))
	}
	if f.Decommission {
		out = append(out, "decommission "+a.wish.Version)
	}
	return out
}

func (a action) changes(f Facts) []string {
	var out []string
	if f.Deploy {
		out = append(out, fmt.Sprintf("%s is deployed", a.wish.Version))
	}
	if len(f.Schedule) > 0 {
		out = append(out,
			fmt.Sprintf("Traffic of %s: %s %% to %s %%", a.wish.Version, planner.Percent(f.CurrentPercent),
				planner.Percent(f.TargetPercent)),
			fmt.Sprintf("Traffic of stable %s: %s %% to %s %%", f.StableVersion, planner.Percent(f.StablePercentBefore),
				planner.Percent(f.StablePercentAfter)),
			a.mode(f), "Monitor for regressions during the shift")
	}
	if f.Decommission {
		out = append(out, fmt.Sprintf("%s is decommissioned at the end", a.wish.Version))
	}
	return out
}

func (a action) mode(f Facts) string {
	if a.wish.Pace.Over == 0 {
		return "Immediate: in one step"
	}
	shares := make([]string, len(f.Schedule))
	for i, step := range f.Schedule {
		shares[i] = planner.Percent(step.Percent)
	}
	return fmt.Sprintf("Gradual: %s %%, each watched for %s", strings.Join(shares, ", "),
		plainDuration(a.wish.Pace.interval(len(f.Schedule))))
}

// plainDuration writes "2m" where Go writes "2m0s".
func plainDuration(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		return strings.TrimSuffix(text, "0s")
	}
	return text
}

// Observe implements playbook.Observer.
func (a action) Observe(ctx context.Context) (string, error) {
	if !a.wish.Watched {
		return "", nil
	}
	split, err := a.planner.Read(ctx)
	if err != nil {
		return "", err
	}
	share, known := split.Shares[a.wish.Version]
	switch {
	case !known:
		return fmt.Sprintf("%s is no longer known to the planner; the split is %s", a.wish.Version,
			planner.Text(split.Shares)), nil
	case math.Abs(share-a.wish.Target) > planner.Tolerance:
		return fmt.Sprintf("%s has %s %% of the traffic, and was set to %s %%", a.wish.Version, planner.Percent(share),
			planner.Percent(a.wish.Target)), nil
	}
	return "", nil
}

// decided reads the facts of the reviewed preview, also as the journal gives them back.
func decided(p playbook.Preview) (Facts, error) {
	if f, ok := p.Facts.(Facts); ok {
		return f, nil
	}
	return decodeFacts(p.Facts)
}

// split is the one in which the move began.
func (f Facts) split(w Wish) map[string]float64 {
	return maps.Clone(map[string]float64{w.Version: f.CurrentPercent, f.StableVersion: f.StablePercentBefore})
}
