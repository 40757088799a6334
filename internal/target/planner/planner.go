// Package planner is how the playbooks that move traffic see a router that shares it among versions. The folders below
// implement it for a file, a control API, the ApplyLens guard API, HAProxy and the Gateway API.
package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
)

// Whole is all of the traffic, in percent.
const Whole = 100

// Tolerance is the largest difference, in percentage points, between two shares that count as the same: it is below
// what any backend can set and above what division of weights loses.
const Tolerance = 0.001

// Planner shares traffic among versions. Implementations are safe for use by several goroutines.
type Planner interface {
	// Name names the planner, such as "planner:file:/srv/planner.json". It does no I/O beyond the local machine.
	Name(ctx context.Context) (string, error)
	// Read returns the split as it is configured now.
	Read(ctx context.Context) (Split, error)
	// Set shares the traffic as change says, if the split still has the revision that change names; otherwise it
	// changes nothing and returns an error that wraps ErrMoved. An error that wraps ErrUncertain means that it may have
	// been set.
	Set(ctx context.Context, change Change) (Split, error)
	// Restore brings back the very state that an earlier Read has returned, under the same rules as Set.
	Restore(ctx context.Context, r Restoration) (Split, error)
	// Deploy brings a known version up without traffic. One that is up already stays as it is.
	Deploy(ctx context.Context, change Version) error
	// Decommission takes a version down that has no traffic. One that is down already stays as it is.
	Decommission(ctx context.Context, change Version) error
	// Command is what a person would type or send to set such a split, where the split is now.
	Command(now Split, shares map[string]float64) string
	// Restoring is what a person would type or send to restore a state, where the split is now, and the shares that
	// follow. It does no I/O. A state of another planner is an error.
	Restoring(now Split, state State) (command string, shares map[string]float64, err error)
}

// State is what is configured, in the planner's own terms: raw weights, administrative states. It is JSON, so that it
// can be kept in the journal and restored by another process.
type State = json.RawMessage

// Split is how the traffic is shared.
type Split struct {
	// Revision names this very state, for Change and Restoration.
	Revision string
	// State is what Restore brings back. Plain tells that Set with Shares does so as well.
	State State
	Plain bool
	// Identity is what makes it the same planner, however it is addressed.
	Identity any
	// Aliases are other names that Name would return for it, such as with 127.0.0.1 for localhost.
	Aliases []string
	// Content is what is configured beyond State and must stay as reviewed, such as a route's rules. Nil: only State.
	Content any
	// Shares are the configured percentages of all known versions, those that are down included. They sum to Whole.
	Shares map[string]float64
	// Down are the versions that are known but not deployed.
	Down []string
	// Draining are deployed versions that get no new traffic until they are deployed again.
	Draining []string
	// Latent tells that a version that is down can be given a share, which has no effect until it is deployed.
	Latent bool
	// Stable is the version that takes what the canary leaves. Empty where the planner does not say.
	Stable string
	// Resolution is the smallest difference, in percentage points, that can be set.
	Resolution float64
	// OnlyWhole tells that a version can have all of the traffic or none, and nothing in between. MayBeOnlyWhole tells
	// that this can't be seen.
	OnlyWhole, MayBeOnlyWhole bool
	// ReadOnly says in a sentence why the planner would refuse a change. Empty where it is not known to.
	ReadOnly string
	// Unsteady are the versions whose weights something else sets, with what does.
	Unsteady map[string]string
	// Instance identifies the running router. Another one has lost what was set at run time.
	Instance string
	// Requests count what each version has got since the router started. Nil where the router does not count.
	Requests map[string]int64
	// Notes say what keeps the shares from having their effect until someone acts, one sentence each.
	Notes []string
	// NotDone says what setting shares does not do here, one phrase each.
	NotDone []string
}

// Change asks for a split.
type Change struct {
	// Revision is the one that must still hold.
	Revision string
	// Shares are percentages by version; versions that are not named get none. They sum to Whole.
	Shares map[string]float64
	// Reason and By are kept by backends that have a place for them; By names the execution.
	Reason, By string
}

// Restoration asks for a state of before.
type Restoration struct {
	// Revision is the one that must still hold.
	Revision string
	State    State
	// Reason and By are kept by backends that have a place for them; By names the execution.
	Reason, By string
}

// Version asks to deploy or decommission a version.
type Version struct {
	Name string
	// Reason and By are kept by backends that have a place for them; By names the execution.
	Reason, By string
}

// Errors of planners, for errors.Is.
var (
	// ErrMoved: the split no longer has the revision on which a change was based. Nothing was changed.
	ErrMoved = errors.New("someone else changed the split")
	// ErrUncertain: a change was sent and its answer was lost.
	ErrUncertain = errors.New("it is not known whether the split was changed")
	// ErrNotEffective: the split was set, but what carries the traffic has not applied it.
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

// Execution is By with the number of an execution, so that every trace leads back to it.
func Execution(id int64) string { return fmt.Sprintf("%s execution %d", By, id) }

// SelfChanging is a planner that can change by being read, so that it is read only where an execution is planned or
// runs.
type SelfChanging interface {
	// ReadsChange tells whether reads can change the split.
	ReadsChange() bool
}

// Versions are the known versions, sorted.
func (s Split) Versions() []string { return slices.Sorted(maps.Keys(s.Shares)) }

// Deployed tells whether the version is known and up.
func (s Split) Deployed(version string) bool {
	_, known := s.Shares[version]
	return known && !slices.Contains(s.Down, version)
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

// SameState tells whether two states are the same, however their JSON is written.
func SameState(a, b State) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// CanSet tells whether the planner can give a version the share.
func (s Split) CanSet(share float64) bool {
	if s.OnlyWhole {
		return share == 0 || share == Whole
	}
	if s.Resolution <= 0 {
		return true
	}
	units := share / s.Resolution
	return math.Abs(units-math.Round(units))*s.Resolution <= Tolerance
}
