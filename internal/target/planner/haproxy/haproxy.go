// Package haproxy is the planner in a running HAProxy, by its runtime API: one server of a backend is a version, and
// the servers' weights are the split. Weights are relative to their sum. What is set here lasts until HAProxy is
// reloaded.
package haproxy

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	// resolution, in percentage points: weights that sum to 200 stay below 256, the largest that HAProxy takes.
	resolution = 0.5
	parts      = 2
	timeout    = 10 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 4 << 20
)

// Config names the backend and the servers of versions.
type Config struct {
	// Address is "unix:///run/haproxy.sock" or "tcp://127.0.0.1:9999".
	Address string
	Backend string
	// Servers are HAProxy's names of the servers by version.
	Servers map[string]string
	// Stable is the stable version, or empty where it need not be named.
	Stable string
}

// Planner is a backend of a running HAProxy.
type Planner struct{ cfg Config }

var _ planner.Planner = (*Planner)(nil)

// New returns the planner. It does no I/O.
func New(cfg Config) *Planner { return &Planner{cfg: cfg} }

// IsName tells whether name can be that of a backend or a server: HAProxy itself allows no other characters.
func IsName(name string) bool { return namePattern.MatchString(name) }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// CheckAddress returns an error where address is none of a runtime API.
func CheckAddress(address string) error {
	_, _, err := dialTo(address)
	return err
}

func dialTo(address string) (network, at string, err error) {
	for scheme, network := range map[string]string{"unix://": "unix", "tcp://": "tcp"} {
		if at, ok := strings.CutPrefix(address, scheme); ok && at != "" {
			return network, at, nil
		}
	}
	return "", "", fmt.Errorf("%q begins neither with unix:// nor with tcp://", address)
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) {
	return fmt.Sprintf("planner:haproxy:%s/%s", p.cfg.Address, p.cfg.Backend), nil
}

// Command implements planner.Planner.
func (p *Planner) Command(shares map[string]float64) string {
	var out []string
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		out = append(out, p.weigh(version, shares[version]))
	}
	return strings.Join(out, "; ")
}

func (p *Planner) weigh(version string, share float64) string {
	return fmt.Sprintf("set server %s/%s weight %d", p.cfg.Backend, p.cfg.Servers[version], weight(share))
}

// weight is the weight of a share where all weights sum to 200.
func weight(share float64) int { return int(math.Round(share * parts)) }

// server is a line of "show stat".
type server struct {
	weight int
	status string
}

// Read implements planner.Planner. The revision is what was seen: HAProxy has none of its own.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	servers, err := p.servers(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	s := planner.Split{Shares: map[string]float64{}, Stable: p.cfg.Stable, Resolution: resolution}
	named := map[string]bool{}
	sum := 0
	for version, name := range p.cfg.Servers {
		found, ok := servers[name]
		if !ok {
			return planner.Split{}, p.problem(fmt.Sprintf("HAProxy has no server %s/%s", p.cfg.Backend, name),
				"The backend's servers are: "+strings.Join(slices.Sorted(maps.Keys(servers)),
					", ")+".", "servers", planner.ErrMalformed)
		}
		named[name] = true
		if strings.HasPrefix(found.status, "MAINT") {
			s.Down = append(s.Down, version)
			found.weight = 0 // a server in maintenance gets no traffic whatever its weight
		}
		if strings.HasPrefix(found.status, "DOWN") {
			s.Notes = append(s.Notes, fmt.Sprintf("HAProxy's health check sees %s as down, so it gets no traffic now "+
				"whatever its share.", version))
		}
		s.Shares[version] = float64(found.weight)
		sum += found.weight
	}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if found := servers[name]; !named[name] && found.weight > 0 && !strings.HasPrefix(found.status, "MAINT") {
			return planner.Split{}, p.problem("The backend has a server of no version",
				fmt.Sprintf("%s/%s has weight %d, so that shares would not be those of all traffic.",
					p.cfg.Backend, name, found.weight), "servers", planner.ErrMalformed)
		}
	}
	if sum == 0 {
		return planner.Split{}, p.problem("No server of the backend has traffic", "All weights are 0.", "servers",
			planner.ErrMalformed)
	}
	slices.Sort(s.Down)
	for version, w := range s.Shares {
		s.Shares[version] = planner.Whole * w / float64(sum)
	}
	s.Revision = fmt.Sprintf("%s; down: %s", planner.Text(s.Shares), strings.Join(s.Down, ", "))
	return s, nil
}

// Set implements planner.Planner. HAProxy has no compare-and-set: the split is read again right before it is set, so
// that another client's change in the milliseconds between is not seen. Weights that rise are set first: there is no
// moment without any.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if err := now.Allows(change); err != nil {
		return planner.Split{}, err
	}
	versions := slices.Sorted(maps.Keys(p.cfg.Servers))
	slices.SortStableFunc(versions, func(a,
		b string) int {
		return weight(change.Shares[b]) - weight(change.Shares[a])
	})
	commands := make([]string, len(versions))
	for i, version := range versions {
		commands[i] = p.weigh(version, change.Shares[version])
	}
	if err := p.do(ctx, commands...); err != nil {
		return planner.Split{}, err
	}
	return p.Read(ctx)
}

// Deploy implements planner.Planner: the server leaves maintenance, with weight 0.
func (p *Planner) Deploy(ctx context.Context, change planner.Version) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := now.Check(change.Name); err != nil || now.Deployed(change.Name) {
		return err
	}
	return p.do(ctx, p.weigh(change.Name, 0), fmt.Sprintf("set server %s/%s state ready", p.cfg.Backend,
		p.cfg.Servers[change.Name]))
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
	return p.do(ctx, fmt.Sprintf("set server %s/%s state maint", p.cfg.Backend, p.cfg.Servers[change.Name]))
}

// servers reads the backend's servers by name.
func (p *Planner) servers(ctx context.Context) (map[string]server, error) {
	text, err := p.ask(ctx, "show stat "+p.cfg.Backend+" 4 -1") // 4: servers, -1: all of them
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "No such proxy") {
		return nil, p.problem("HAProxy has no such backend", fmt.Sprintf("It knows no %q.", p.cfg.Backend), "backend",
			planner.ErrMalformed)
	}
	header, ok := strings.CutPrefix(strings.TrimSpace(text), "# ")
	if !ok {
		return nil, p.problem("What answers at the address is not HAProxy's runtime API",
			fmt.Sprintf("%s answered: %s", p.cfg.Address, short(text)),
			"address", planner.ErrMalformed)
	}
	rows, err := csv.NewReader(strings.NewReader(header)).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, p.problem("HAProxy's statistics can't be understood", fmt.Sprintf("%v: %s", err, short(text)),
			"address", planner.ErrMalformed)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"svname", "status", "weight"} {
		if _, ok := column[name]; !ok {
			return nil, p.problem("HAProxy's statistics can't be understood", "They have no column "+name+".",
				"address", planner.ErrMalformed)
		}
	}
	servers := map[string]server{}
	for _, row := range rows[1:] {
		w, err := strconv.Atoi(row[column["weight"]])
		if err != nil {
			return nil, p.problem("HAProxy's statistics can't be understood", err.Error()+".", "address",
				planner.ErrMalformed)
		}
		servers[row[column["svname"]]] = server{weight: w, status: row[column["status"]]}
	}
	if len(servers) == 0 {
		return nil, p.problem("HAProxy has no such backend", fmt.Sprintf("Backend %q has no servers.", p.cfg.Backend),
			"backend", planner.ErrMalformed)
	}
	return servers, nil
}

// do sends commands that answer with nothing where they were done, all of them in one line.
func (p *Planner) do(ctx context.Context, commands ...string) error {
	text, err := p.ask(ctx, strings.Join(commands, "; "))
	if err != nil {
		return errors.Join(planner.ErrUncertain, err)
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	cause := planner.ErrMalformed
	if strings.Contains(text, "Permission denied") {
		cause = planner.ErrForbidden
	}
	return p.problem("HAProxy refused a command", short(text)+".", "address", cause)
}

// ask sends one line and returns the answer.
func (p *Planner) ask(ctx context.Context, line string) (string, error) {
	network, at, err := dialTo(p.cfg.Address)
	if err != nil {
		return "", p.problem("Not an address of HAProxy's runtime API", err.Error()+".", "address",
			planner.ErrUnreachable)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, at)
	if err != nil {
		return "", p.problem("HAProxy's runtime API can't be reached", err.Error()+".", "address",
			planner.ErrUnreachable)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", p.problem("HAProxy's runtime API broke off", err.Error()+".", "address", planner.ErrUnreachable)
	}
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(conn), maxAnswer))
	if err != nil {
		return "", p.problem("HAProxy's runtime API broke off", err.Error()+".", "address", planner.ErrUnreachable)
	}
	return string(text), nil
}

func short(text string) string {
	const longest = 200
	text = strings.TrimSpace(text)
	if len(text) > longest {
		return text[:longest] + "..."
	}
	return text
}

func (p *Planner) problem(what, why, field string, cause error) error {
	return &problem.Problem{
		What: what, Why: why, Next: "Look at the provider's planner.haproxy block and at HAProxy's stats socket " +
			"(level admin).",
		Path: []string{"planner", "haproxy", field}, Err: cause,
	}
}
