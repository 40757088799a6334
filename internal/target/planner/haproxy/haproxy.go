// Package haproxy implements planner.Planner for a running HAProxy, through its runtime API: each version is a server
// of a backend, and the servers' configured weights are the split. Effective weights, which depend on slow start,
// health, and drain, are never compared. Weights are relative to their sum. Changes last until HAProxy is reloaded.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	// resolution is in percentage points: weights that sum to 200 stay below 256, HAProxy's maximum.
	resolution = 0.5
	perPercent = 2
)

// Config names the backend and the server of each version.
type Config struct {
	// Address is "unix:///run/haproxy.sock" or "tcp://127.0.0.1:9999".
	Address string
	Backend string
	// Servers are HAProxy's names of the servers, by version.
	Servers map[string]string
	// Stable is the stable version. Optional.
	Stable string
}

// Planner is a backend of a running HAProxy.
type Planner struct{ cfg Config }

var _ planner.Planner = (*Planner)(nil)

// New returns the planner. It does no I/O.
func New(cfg Config) *Planner { return &Planner{cfg: cfg} }

// IsName reports whether name can be the name of a backend or a server: HAProxy itself allows no other characters.
func IsName(name string) bool { return namePattern.MatchString(name) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) {
	return fmt.Sprintf("planner:haproxy:%s/%s", p.cfg.Address, p.cfg.Backend), nil
}

// identity is the backend, regardless of the form of its address.
type identity struct {
	Socket  string `json:"socket,omitempty"`
	Host    string `json:"host,omitempty"`
	Port    string `json:"port,omitempty"`
	Backend string `json:"backend"`
}

func (p *Planner) identity() identity {
	network, at, err := dialTo(p.cfg.Address)
	if host, port, splitErr := net.SplitHostPort(at); err == nil && network == "tcp" && splitErr == nil {
		return identity{Host: planner.Host(host), Port: planner.Port(port), Backend: p.cfg.Backend}
	}
	if real, err := filepath.EvalSymlinks(at); err == nil {
		at = real
	}
	return identity{Socket: at, Backend: p.cfg.Backend}
}

// aliases returns the planner's other names: with other addresses of this machine, or with the socket to which a link
// leads.
func (p *Planner) aliases() []string {
	names := planner.Aliases(p.cfg.Address)
	if id := p.identity(); id.Socket != "" && "unix://"+id.Socket != p.cfg.Address {
		names = append(names, "unix://"+id.Socket)
	}
	return planner.Prefixed("planner:haproxy:", names, "/"+p.cfg.Backend)
}

// Command implements planner.Planner.
func (p *Planner) Command(now planner.Split, shares map[string]float64) string {
	var out []string
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		out = append(out, p.weigh(now, version, shares[version]))
	}
	return strings.Join(out, "; ")
}

// weigh returns the command that sets a version's weight. All weights sum to 200, except where the balancing algorithm
// may accept no weights other than the initial one and 0: then shares of 0% and 100% are set as percentages of the
// initial weight, unless that is 0.
func (p *Planner) weigh(now planner.Split, version string, share float64) string {
	weight := fmt.Sprint(weight(share))
	barred := share > 0 && slices.Contains(now.Barred, version)
	if now.OnlyWhole || now.MayBeOnlyWhole && (share == 0 || share == planner.Whole) && !barred {
		weight = fmt.Sprintf("%.0f%%", share)
	}
	return p.setWeight(p.cfg.Servers[version], weight)
}

func (p *Planner) setWeight(server, weight string) string {
	return fmt.Sprintf("set server %s/%s weight %s", p.cfg.Backend, server, weight)
}

func (p *Planner) setState(server, state string) string {
	return fmt.Sprintf("set server %s/%s state %s", p.cfg.Backend, server, state)
}

// weight returns the weight for a share if all weights sum to 200.
func weight(share float64) int { return int(math.Round(share * perPercent)) }

// Read implements planner.Planner. The revision is the state itself, because HAProxy has no revisions.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	r, err := p.look(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	for _, version := range slices.Sorted(maps.Keys(p.cfg.Servers)) {
		if name := p.cfg.Servers[version]; r.servers[name] == (server{}) {
			return planner.Split{}, p.problem(fmt.Sprintf("HAProxy has no server %s/%s", p.cfg.Backend, name),
				"The backend's servers are: "+strings.Join(slices.Sorted(maps.Keys(r.servers)), ", ")+".", "servers",
				planner.ErrMalformed)
		}
	}
	s := planner.Split{Stable: p.cfg.Stable, Resolution: resolution, Identity: p.identity(), Instance: r.process,
		Aliases: p.aliases()}
	state := p.state(r)
	s.State = encode(state)
	s.Revision = string(s.State)
	s.Shares, s.Down = p.shares(state)
	total := 0.0
	for _, share := range s.Shares {
		total += share
	}
	if total == 0 {
		return planner.Split{}, p.problem("No server of the backend has traffic", "All weights are 0.", "servers",
			planner.ErrMalformed)
	}
	if err := p.others(r, &s); err != nil {
		return planner.Split{}, err
	}
	p.describe(r, &s)
	s.Plain = p.plain(state, s)
	return s, nil
}

// plain reports whether setting the shares alone restores the state.
func (p *Planner) plain(state map[string]configured, s planner.Split) bool {
	for version, name := range p.cfg.Servers {
		c := state[name]
		if c.Admin != ready || c.Weight != weight(s.Shares[version]) {
			return false
		}
	}
	return !s.OnlyWhole && !s.MayBeOnlyWhole
}

// others checks the servers that belong to no version. If one takes traffic, the shares are not shares of all traffic.
func (p *Planner) others(r running, s *planner.Split) error {
	named := slices.Collect(maps.Values(p.cfg.Servers))
	for _, name := range slices.Sorted(maps.Keys(r.servers)) {
		switch found := r.servers[name]; {
		case slices.Contains(named, name), found.Weight == 0, found.Admin != ready:
		case found.backup:
			s.NotDone = append(s.NotDone, fmt.Sprintf("The backup server %s belongs to no version: it still takes all "+
				"traffic when no other server is up", name))
		default:
			return p.problem("The backend has a server that belongs to no version",
				fmt.Sprintf("%s/%s has weight %d and takes traffic that no version's share counts.", p.cfg.Backend,
					name, found.Weight), "servers", planner.ErrMalformed)
		}
	}
	return nil
}

// Set implements planner.Planner. HAProxy has no compare-and-set: the split is read again right before it is set, and a
// change by another client in the milliseconds between is not detected. The largest weights are set first, so the sum
// of the weights is never 0. If HAProxy refuses one of the weights, the previous state is restored.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if err := now.Allows(change); err != nil {
		return planner.Split{}, err
	}
	versions := slices.Sorted(maps.Keys(p.cfg.Servers))
	slices.SortStableFunc(versions, func(a, b string) int {
		return weight(change.Shares[b]) - weight(change.Shares[a])
	})
	commands := make([]string, len(versions))
	for i, version := range versions {
		commands[i] = p.weigh(now, version, change.Shares[version])
	}
	if len(commands) > 1 && now.MayBeOnlyWhole {
		// HAProxy may refuse the weight that rises, but would accept a 0 for the others.
		if err := p.send(ctx, now, commands[0]); err != nil {
			return planner.Split{}, err
		}
		set, err := p.change(ctx, now, commands[1:])
		if err != nil {
			err = errors.Join(planner.ErrUncertain, err)
		}
		return set, err
	}
	return p.change(ctx, now, commands)
}

// change sends commands, and returns the split after them.
func (p *Planner) change(ctx context.Context, before planner.Split, commands []string) (planner.Split, error) {
	if err := p.send(ctx, before, commands...); err != nil {
		return planner.Split{}, err
	}
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, errors.Join(planner.ErrUncertain, err)
	}
	return now, nil
}

// send sends commands, and restores the previous state if one of them is refused.
func (p *Planner) send(ctx context.Context, before planner.Split, commands ...string) error {
	err := p.do(ctx, commands...)
	if errors.Is(err, planner.ErrShares) {
		if back := p.restore(ctx, before.State); back != nil {
			return errors.Join(planner.ErrUncertain, err, back)
		}
	}
	return err
}

// restore sends the commands that lead from the present state to another one.
func (p *Planner) restore(ctx context.Context, state planner.State) error {
	want, err := p.decode(state)
	if err != nil {
		return err
	}
	r, err := p.look(ctx)
	if err != nil {
		return err
	}
	return p.do(ctx, p.difference(p.state(r), want)...)
}

// Restoring implements planner.Planner.
func (p *Planner) Restoring(now planner.Split, state planner.State) (string, map[string]float64, error) {
	want, err := p.decode(state)
	if err != nil {
		return "", nil, err
	}
	is, err := p.decode(now.State)
	if err != nil {
		return "", nil, err
	}
	shares, _ := p.shares(want)
	return strings.Join(p.difference(is, want), "; "), shares, nil
}

// Restore implements planner.Planner.
func (p *Planner) Restore(ctx context.Context, r planner.Restoration) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if now.Revision != r.Revision {
		return planner.Split{}, planner.Moved(now)
	}
	want, err := p.decode(r.State)
	if err != nil {
		return planner.Split{}, err
	}
	is, err := p.decode(now.State)
	if err != nil {
		return planner.Split{}, err
	}
	return p.change(ctx, now, p.difference(is, want))
}

// difference returns the commands that lead from one state to another: first what comes up, then weights that rise,
// weights that fall, and what goes down. The sum of the weights is never 0, and no server takes traffic with a wrong
// weight.
func (p *Planner) difference(is, want map[string]configured) []string {
	rank := []string{ready, drain, maint}
	var up, rise, fall, down []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		from, to := is[name], want[name]
		var weigh, turn []string
		if from.Weight != to.Weight {
			weigh = []string{p.setWeight(name, fmt.Sprint(to.Weight))}
		}
		if from.Admin != to.Admin {
			turn = []string{p.setState(name, to.Admin)}
		}
		switch was, will := slices.Index(rank, from.Admin), slices.Index(rank, to.Admin); {
		case will < was:
			up = slices.Concat(up, weigh, turn)
		case will > was:
			down = slices.Concat(down, turn, weigh)
		case to.Weight > from.Weight:
			rise = append(rise, weigh...)
		default:
			fall = append(fall, weigh...)
		}
	}
	return slices.Concat(up, rise, fall, down)
}

// Deploy implements planner.Planner: the server leaves maintenance, with weight 0, or drain, with its weight.
func (p *Planner) Deploy(ctx context.Context, change planner.Version) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := now.Check(change.Name); err != nil {
		return err
	}
	name := p.cfg.Servers[change.Name]
	if !now.Deployed(change.Name) {
		return p.send(ctx, now, p.setWeight(name, "0"), p.setState(name, ready))
	}
	if slices.Contains(now.Draining, change.Name) {
		return p.send(ctx, now, p.setState(name, ready))
	}
	return nil
}

// Decommission implements planner.Planner: the server goes into maintenance.
func (p *Planner) Decommission(ctx context.Context, change planner.Version) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := now.CheckDown(change.Name); err != nil || !now.Deployed(change.Name) {
		return err
	}
	return p.send(ctx, now, p.setState(p.cfg.Servers[change.Name], maint))
}

func (p *Planner) problem(what, why, field string, cause error) error {
	return &problem.Problem{
		What: what, Why: why, Next: "Check the provider's planner.haproxy block and HAProxy's stats socket " +
			"(level admin).",
		Path: []string{"planner", "haproxy", field}, Err: cause,
	}
}
