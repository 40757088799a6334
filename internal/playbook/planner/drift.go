package planner

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Observe implements playbook.Observer.
func (a action) Observe(ctx context.Context) (playbook.Observation, error) {
	if changing, ok := a.planner.(target.SelfChanging); ok && changing.ReadsChange() {
		return playbook.Observation{}, nil
	}
	split, err := a.planner.Read(ctx)
	if err != nil {
		return playbook.Observation{}, err
	}
	seen := playbook.Observation{Identity: split.Identity}
	share, known := split.Shares[a.move.Version]
	seen.Left = func(details map[string]string) bool {
		percent, err := strconv.ParseFloat(details["percent_now"], 64)
		same := err == nil && math.Abs(share-percent) <= target.Tolerance
		return same && known && details["version"] == a.move.Version
	}
	switch {
	case !known:
		seen.Drift = fmt.Sprintf("%s is no longer known to the planner; the split is %s", a.move.Version,
			target.Text(split.Shares))
	case math.Abs(share-a.move.Target) > target.Tolerance:
		seen.Drift = fmt.Sprintf("%s has %s of the traffic, but was set to %s", a.move.Version, target.Percent(share),
			target.Percent(a.move.Target))
	case a.move.Decommission && split.Deployed(a.move.Version):
		seen.Drift = a.move.Version + " is deployed, but was decommissioned"
	case a.move.Deploy && !split.Deployed(a.move.Version):
		seen.Drift = a.move.Version + " is no longer deployed"
	}
	return seen, nil
}
