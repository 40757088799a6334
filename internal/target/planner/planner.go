// Package planner is how the playbooks that move traffic see whatever shares it out among the versions of a planner.
// The folders below implement it for a file, a control API, the ApplyLens guard API, HAProxy and the Gateway API.
package planner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Whole is all of the traffic, in percent.
const Whole = 100

// Tolerance is the largest difference, in percentage points, between two shares that count as the same: it is below
// what any backend can set and above what division of weights loses.
const Tolerance = 0.001

// Planner shares traffic out among versions. Implementations are safe for use by several goroutines.
type Planner interface {
	// Name names the planner, such as "planner:file:/srv/planner.json". It does no I/O beyond the local machine.
	Name(ctx context.Context) (string, error)
	// Read returns the split as it is now.
	Read(ctx context.Context) (Split, error)
	// Set shares the traffic out as change says, if the split still has the revision that change names; otherwise it
	// changes nothing and returns an error that wraps ErrMoved. An error that wraps ErrUncertain means that it may have
	// been set.
	Set(ctx context.Context, change Change) (Split, error)
	// Deploy brings a known version up without traffic. One that is up already stays as it is.
	Deploy(ctx context.Context, change Version) error
	// Decommission takes a version down that has no traffic. One that is down already stays as it is.
	Decommission(ctx context.Context, change Version) error
	// Command is what a person would type or send to set such a split.
	Command(shares map[string]float64) string
}

// Split is how the traffic is shared.
type Split struct {
	// Revision names this very state, for Change.
	Revision string
	// Shares are the percentages of all known versions, those that are down included. They sum to Whole.
	Shares map[string]float64
	// Down are the versions that are known but not deployed.
	Down []string
	// Latent tells that a version that is down can be given a share, which has no effect until it is deployed.
	Latent bool
	// Stable is the version that takes what the canary leaves. Empty where the planner does not say.
	Stable string
	// Resolution is the smallest part, in percentage points, that can be set.
	Resolution float64
	// Notes are what a reader should know of the planner beside the shares, one sentence each.
	Notes []string
}

// Change is a wish for Set.
type Change struct {
	// Revision is the one that must still hold.
	Revision string
	// Shares are percentages by version; versions that are not named get none. They sum to Whole.
	Shares map[string]float64
	// Reason is kept by backends that have a place for it.
	Reason string
}

// Version is a wish for Deploy and Decommission.
type Version struct {
	Name string
	// Reason is kept by backends that have a place for it.
	Reason string
}

// Errors of planners, for errors.Is.
var (
	// ErrMoved: the split no longer has the revision on which a change was based. Nothing was changed.
	ErrMoved = errors.New("the split has been changed by somebody else")
	// ErrUncertain: a change was sent and its answer was lost.
	ErrUncertain = errors.New("it is not known whether the split was changed")
	// ErrNotEffective: the split was set, but what carries the traffic has not taken it up.
	ErrNotEffective = errors.New("the split has not taken effect")
	// ErrUnknownVersion: no such version.
	ErrUnknownVersion = errors.New("unknown version")
	// ErrShares: the shares are no split, or one that the backend can't make.
	ErrShares = errors.New("not a split")
	// ErrNotDeployed: a version that is down can't take traffic.
	ErrNotDeployed = errors.New("the version is not deployed")
	// ErrHasTraffic: a version with traffic can't be taken down.
	ErrHasTraffic = errors.New("the version still has traffic")
	// ErrMalformed: what was found is not what the planner should be.
	ErrMalformed = errors.New("not a planner's state")
	// ErrUnreachable: the backend can't be reached or refuses to answer.
	ErrUnreachable = errors.New("the planner can't be reached")
	// ErrForbidden: the backend refuses the credentials.
	ErrForbidden = errors.New("the planner refuses the credentials")
	// ErrOwned: something else owns the split.
	ErrOwned = errors.New("something else owns the split")
)

// Unanswered tells whether err says nothing about the split, because the backend gave no answer, or none that could be
// read.
func Unanswered(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrForbidden) || errors.Is(err, ErrMalformed)
}

// By is how this provider names itself to backends that ask who makes a change.
const By = "terraform-provider-remediation"

// CheckName says why name can't be a version's, or nothing. Names stand in paths and in lines of plans.
func CheckName(name string) string {
	if name == "." || name == ".." {
		return "leads to another path"
	}
	return check.Label(name)
}

// Versions are the known versions, sorted.
func (s Split) Versions() []string { return slices.Sorted(maps.Keys(s.Shares)) }

// Deployed tells whether the version is known and up.
func (s Split) Deployed(version string) bool {
	_, known := s.Shares[version]
	return known && !slices.Contains(s.Down, version)
}

// Check returns a problem with ErrUnknownVersion where the version is not known.
func (s Split) Check(version string) error {
	if _, ok := s.Shares[version]; ok {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("There is no version %q", version),
		Why:  "The planner knows: " + strings.Join(s.Versions(), ", ") + ".",
		Next: "Name one of these, or make the version known to the planner first.", Err: ErrUnknownVersion,
	}
}

// Same tells whether two sets of shares are the same split. A version that is not named has none.
func Same(a, b map[string]float64) bool {
	for _, pair := range [][2]map[string]float64{{a, b}, {b, a}} {
		for version, share := range pair[0] {
			if math.Abs(share-pair[1][version]) > Tolerance {
				return false
			}
		}
	}
	return true
}

// Validate returns a problem with ErrShares where shares are no split of the versions of s, or where they give traffic
// to one that is down.
func (s Split) Validate(shares map[string]float64) error {
	sum := 0.0
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		share := shares[version]
		if err := s.Check(version); err != nil {
			return err
		}
		if math.IsNaN(share) || share < 0 || share > Whole {
			return badShares(fmt.Sprintf("The share of %s is %s %%.", version, Percent(share)))
		}
		if share > 0 && !s.Latent {
			if err := s.CheckUp(version); err != nil {
				return err
			}
		}
		if !s.CanSet(share) {
			return badShares(fmt.Sprintf("This planner sets shares in parts of %s percentage points, and %s %% for "+
				"%s is none.",
				Percent(s.Resolution), Percent(share), version))
		}
		sum += share
	}
	if math.Abs(sum-Whole) > Tolerance {
		return badShares(fmt.Sprintf("The shares sum to %s %%, not to 100 %%.", Percent(sum)))
	}
	return nil
}

// CheckUp returns a problem with ErrNotDeployed where the version is down.
func (s Split) CheckUp(version string) error {
	if s.Deployed(version) {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("Version %s is not deployed",
			version), Why: "It is known to the planner, but down, and can't take traffic.",
		Next: "Deploy it first (remediation_planner_deploy).", Err: ErrNotDeployed,
	}
}

// CanSet tells whether the planner's resolution allows the share.
func (s Split) CanSet(share float64) bool {
	if s.Resolution <= 0 {
		return true
	}
	parts := share / s.Resolution
	return math.Abs(parts-math.Round(parts))*s.Resolution <= Tolerance
}

func badShares(why string) error {
	return &problem.Problem{What: "The traffic can't be shared out so", Why: why, Next: "Nothing was changed.",
		Err: ErrShares}
}

// Moved is the problem of a change that was based on a split that no longer holds. was may be empty where it is not
// known.
func Moved(now Split) error {
	return &problem.Problem{
		What: "The split has been changed by somebody else", Why: "It is now " + Text(now.Shares) + ".",
		Next: "This change was not made, and theirs was left alone. Find out who moves the traffic, then plan " +
			"again.", Err: ErrMoved,
	}
}

// Allows returns a problem where s is no longer the split on which the change was based, or where the change can't be
// made.
func (s Split) Allows(c Change) error {
	if s.Revision != c.Revision {
		return Moved(s)
	}
	return s.Validate(c.Shares)
}

// CheckDown returns a problem where the version is unknown or has traffic, so that it can't be taken down.
func (s Split) CheckDown(version string) error {
	if err := s.Check(version); err != nil {
		return err
	}
	if share := s.Shares[version]; share > Tolerance {
		return &problem.Problem{
			What: fmt.Sprintf("Version %s can't be taken down",
				version), Why: fmt.Sprintf("It still has %s %% of the traffic.", Percent(share)),
			Next: "Move its traffic away first.", Err: ErrHasTraffic,
		}
	}
	return nil
}

// Percent writes a share without needless digits.
func Percent(share float64) string {
	const digits, bits = 3, 64
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(share*scale)/scale, 'f', -1, bits)
}

// Text writes shares for people, by version.
func Text(shares map[string]float64) string {
	parts := make([]string, 0, len(shares))
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		parts = append(parts, fmt.Sprintf("%s %s %%", version, Percent(shares[version])))
	}
	return strings.Join(parts, ", ")
}
