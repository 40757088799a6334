// Package planner is the interface through which the playbooks that move traffic use a router that divides it among
// versions. The folders below implement it for a file, a control API, the ApplyLens guard API, HAProxy, and the Gateway
// API.
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

// Tolerance is the largest difference, in percentage points, between two shares that count as the same. It is smaller
// than the resolution of any backend and larger than the error from dividing weights.
const Tolerance = 0.001

// Planner divides traffic among versions. Implementations are safe for use by several goroutines.
type Planner interface {
	// Name returns the planner's name, such as "planner:file:/srv/planner.json". It does no I/O beyond the local
	// machine.
	Name(ctx context.Context) (string, error)
	// Read returns the split as it is configured now.
	Read(ctx context.Context) (Split, error)
	// Set sets the shares of change, if the split still has the revision in change; otherwise it changes nothing and
	// returns an error that wraps ErrMoved. An error that wraps ErrUncertain means that the shares may have been set.
	Set(ctx context.Context, change Change) (Split, error)
	// Restore restores the exact state that an earlier Read has returned, under the same rules as Set.
	Restore(ctx context.Context, r Restoration) (Split, error)
	// Deploy brings a known version up without traffic. A version that is already up stays as it is.
	Deploy(ctx context.Context, change Version) error
	// Decommission takes down a version that has no traffic. A version that is already down stays as it is.
	Decommission(ctx context.Context, change Version) error
	// Command returns what a person would type or send to set the shares, starting from the split now.
	Command(now Split, shares map[string]float64) string
	// Restoring returns what a person would type or send to restore a state, starting from the split now, and the
	// resulting shares. It does no I/O. A state from another planner is an error.
	Restoring(now Split, state State) (command string, shares map[string]float64, err error)
}

// State is the configuration in the planner's own terms: raw weights, administrative states. It is JSON that the
// journal stores and another process can restore.
type State = json.RawMessage

// Split is how the traffic is divided.
type Split struct {
	// Revision identifies this exact state, for Change and Restoration.
	Revision string
	// State is what Restore restores. Plain reports that Set with Shares leads to the same state.
	State State
	Plain bool
	// Identity identifies the planner, regardless of its address.
	Identity any
	// Aliases are other names that Name would return for the same planner, for example with 127.0.0.1 for localhost.
	Aliases []string
	// Content is the configuration beyond State that must stay as reviewed, such as a route's rules. Nil: only State.
	Content any
	// Shares are the configured percentages of all known versions, including those that are down. They sum to Whole.
	Shares map[string]float64
	// Down are the versions that are known but not deployed.
	Down []string
	// Draining are deployed versions that get no new traffic until they are deployed again.
	Draining []string
	// Latent reports that a version that is down can have a share, which has no effect until it is deployed.
	Latent bool
	// Stable is the version that takes the traffic that the canary does not. Empty if the planner does not say.
	Stable string
	// Resolution is the smallest difference, in percentage points, that can be set.
	Resolution float64
	// OnlyWhole reports that a version can have all of the traffic or none, and nothing in between. MayBeOnlyWhole
	// reports that this can't be determined.
	OnlyWhole, MayBeOnlyWhole bool
	// Barred are the versions that can't have any traffic while only whole shares can be set.
	Barred []string
	// ReadOnly says in a sentence why the planner would refuse a change. Empty if no such reason is known.
	ReadOnly string
	// Unsteady maps each version whose weight something else can change to a phrase that says what.
	Unsteady map[string]string
	// ChangedBy says in a phrase what has just changed the split, if that was no user. Empty: not known.
	ChangedBy string
	// Instance identifies the running router. A new instance has lost what was set at run time.
	Instance string
	// Requests count the requests to each version since the router started. Nil if the router does not count.
	Requests map[string]int64
	// Notes say what keeps the shares from having an effect until someone acts, one sentence each.
	Notes []string
	// NotDone says what setting shares does not do here, one phrase each.
	NotDone []string
}

// Change is a request for a split.
type Change struct {
	// Revision is the revision that the split must still have.
	Revision string
	// Shares are percentages by version; versions that are not named get none. They sum to Whole.
	Shares map[string]float64
	// Reason and By are stored by backends that can store them; By names the execution.
	Reason, By string
}

// Restoration is a request for an earlier state.
type Restoration struct {
	// Revision is the revision that the split must still have.
	Revision string
	State    State
	// Reason and By are stored by backends that can store them; By names the execution.
	Reason, By string
}

// Version is a request to deploy or decommission a version.
type Version struct {
	Name string
	// Reason and By are stored by backends that can store them; By names the execution.
	Reason, By string
}

// Errors from planners, for errors.Is.
var (
	// ErrMoved: the split no longer has the revision on which a change was based. Nothing was changed.
	ErrMoved = errors.New("someone else changed the split")
	// ErrUncertain: a change was sent and its answer was lost.
	ErrUncertain = errors.New("it is not known whether the split was changed")
	// ErrNotEffective: the split was set, but the router that carries the traffic has not applied it.
	ErrNotEffective = errors.New("the split has not taken effect")
	// ErrUnknownVersion: no such version.
	ErrUnknownVersion = errors.New("unknown version")
	// ErrShares: the shares are not a split, or not one that the backend can set.
	ErrShares = errors.New("not a split")
	// ErrNotDeployed: a version that is down can't take traffic.
	ErrNotDeployed = errors.New("the version is not deployed")
	// ErrHasTraffic: a version with traffic can't be taken down.
	ErrHasTraffic = errors.New("the version still has traffic")
	// ErrMalformed: the planner's configuration or answer is malformed.
	ErrMalformed = errors.New("not a planner's state")
	// ErrUnreachable: the backend can't be reached or refuses to answer.
	ErrUnreachable = errors.New("the planner can't be reached")
	// ErrForbidden: the backend refuses the credentials.
	ErrForbidden = errors.New("the planner refuses the credentials")
	// ErrOwned: something else controls the split.
	ErrOwned = errors.New("something else owns the split")
)

// Unanswered reports whether err says nothing about the split, because the backend gave no readable answer.
func Unanswered(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrForbidden) || errors.Is(err, ErrMalformed)
}

// By is the name of this provider for backends that ask who makes a change.
const By = "terraform-provider-remediation"

// Execution is By with the name or the number of an execution, for backends that store it.
func Execution[T string | int](name T) string { return fmt.Sprintf("%s execution %v", By, name) }

// SelfChanging is a planner that can change when it is read. It is read only if an execution is planned or runs.
type SelfChanging interface {
	// ReadsChange reports whether reads can change the split.
	ReadsChange() bool
}

// Versions returns the known versions, sorted.
func (s Split) Versions() []string { return slices.Sorted(maps.Keys(s.Shares)) }

// Deployed reports whether the version is known and up.
func (s Split) Deployed(version string) bool {
	_, known := s.Shares[version]
	return known && !slices.Contains(s.Down, version)
}

// Same reports whether two sets of shares are the same split. A version that is not named has no traffic.
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

// SameState reports whether two states are equal, regardless of JSON formatting.
func SameState(a, b State) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// CanSet reports whether the planner can give a version the share.
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
