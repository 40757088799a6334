package haproxy

import (
	"errors"
	"maps"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Project implements planner.Projecting. Weights that HAProxy computes from the initial ones can't be projected.
func (p *Planner) Project(now planner.Split, e planner.Effect) (planner.Split, error) {
	source := now.State
	if e.Restore != nil {
		source, e = e.Restore, planner.Effect{}
	}
	state, err := p.decode(source)
	if err != nil {
		return planner.Split{}, err
	}
	for version, name := range p.cfg.Servers {
		c := state[name]
		if version == e.Deploy && c.Admin == maint {
			c.Weight = 0
		}
		if version == e.Deploy {
			c.Admin = ready
		}
		if e.Shares != nil {
			share := e.Shares[version]
			if now.OnlyWhole || now.MayBeOnlyWhole && (share == 0 || share == planner.Whole) {
				return planner.Split{}, errInitialWeights
			}
			c.Weight = weight(share)
		}
		if version == e.Decommission {
			c.Admin = maint
		}
		state[name] = c
	}
	now.State = encode(state)
	now.Shares, now.Down = p.shares(state)
	now.Draining = nil
	for _, version := range slices.Sorted(maps.Keys(p.cfg.Servers)) {
		if state[p.cfg.Servers[version]].Admin == drain {
			now.Draining = append(now.Draining, version)
		}
	}
	now.Plain = p.plain(state, now)
	return now, nil
}

// errInitialWeights is returned if a weight would be a percentage of the server's initial weight.
var errInitialWeights = errors.New("HAProxy computes the weights from the initial ones")
