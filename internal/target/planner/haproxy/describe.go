package haproxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// describe adds to s what weights can't do here, and the number of sessions that each version's server has served.
func (p *Planner) describe(r running, s *planner.Split) {
	s.Requests, s.Unsteady = map[string]int64{}, map[string]string{}
	for _, version := range slices.Sorted(maps.Keys(p.cfg.Servers)) {
		name := p.cfg.Servers[version]
		found := r.servers[name]
		s.Requests[version] = found.sessions
		if found.initial == 0 {
			s.Barred = append(s.Barred, version)
		}
		if found.agent {
			s.Unsteady[version] = "the agent check of server " + name
			s.Notes = append(s.Notes, fmt.Sprintf("Server %s has an agent check, which can change its weight at any "+
				"time.", name))
		}
		if note := found.noTraffic(name, version); note != "" {
			s.Notes = append(s.Notes, note)
		}
		if found.Admin == drain {
			s.Draining = append(s.Draining, version)
		}
	}
	p.describeAlgorithm(r, s)
	if r.cookie != "" {
		s.NotDone = append(s.NotDone, fmt.Sprintf("Clients with the session cookie %s stay with their server: "+
			"weights distribute only new sessions", r.cookie))
	}
	if r.sticky {
		s.NotDone = append(s.NotDone, "Clients in the backend's stick table stay with their server: weights "+
			"distribute only new clients")
	}
	if r.level != "" && r.level != "admin" {
		s.ReadOnly = fmt.Sprintf("HAProxy's socket %s has level %s, and setting weights needs level admin.",
			p.cfg.Address, r.level)
	}
}

// noTraffic returns why a server gets no traffic regardless of its weight, or an empty string.
func (s server) noTraffic(name, version string) string {
	switch {
	case s.Admin == maint:
		return "" // its version is down, which is reported separately
	case s.Admin == drain:
		return fmt.Sprintf("Server %s is draining: %s gets no new sessions, whatever its share, until it is "+
			"deployed (remediation_planner_deploy).", name, version)
	case strings.HasPrefix(s.status, "MAINT"):
		return fmt.Sprintf("Server %s is in maintenance (%s): %s gets no traffic whatever its share.", name,
			s.status, version)
	case strings.HasPrefix(s.status, "DOWN"):
		return fmt.Sprintf("HAProxy's health check sees server %s as down: %s gets no traffic now whatever its share.",
			name, version)
	case s.backup:
		return fmt.Sprintf("Server %s is marked backup: %s gets traffic only when no other server is up, whatever its "+
			"share.", name, version)
	}
	return ""
}

// describeAlgorithm adds to s what the balancing algorithm does with weights.
func (p *Planner) describeAlgorithm(r running, s *planner.Split) {
	changed := false
	for _, found := range r.servers {
		changed = changed || found.Weight != 0 && found.Weight != found.initial
	}
	name, _, _ := strings.Cut(r.algorithm, " ")
	name, _, _ = strings.Cut(name, "(")
	switch name {
	case "", "roundrobin", "leastconn", "random":
	case "first":
		s.Notes = append(s.Notes, `The backend balances by "first", which fills one server after the other: weights `+
			"other than 0 have no effect.")
	case "static-rr":
		s.OnlyWhole = true
	default: // hashes
		if s.MayBeOnlyWhole = !changed; s.MayBeOnlyWhole {
			s.Notes = append(s.Notes, fmt.Sprintf("The backend balances by %q. Unless it has \"hash-type "+
				"consistent\", HAProxy accepts no other shares than 0%% and 100%%: the first step would fail and "+
				"change nothing.", r.algorithm))
		}
	}
}
