package haproxy

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Administrative states of a server, as "set server ... state" names them.
const (
	ready = "ready"
	drain = "drain"
	maint = "maint"
)

// Flags of srv_admin_state that an administrator sets; the others depend on tracked servers and name resolution.
const (
	flagMaint = 0x01
	flagDrain = 0x08
)

// flagAgent of srv_agent_state reports that an agent check is enabled.
const flagAgent = 0x04

// configured is the part of a server's configuration that Restore restores.
type configured struct {
	Weight int    `json:"weight"`
	Admin  string `json:"admin"`
}

// server is a server as HAProxy reports it.
type server struct {
	configured
	// initial is the weight in HAProxy's configuration file.
	initial       int
	agent, backup bool
	// status is the effective state, such as "UP", "DOWN" or "MAINT (via ...)".
	status string
	// sessions counts the sessions that the server has served since HAProxy started.
	sessions int64
}

// running is the state of HAProxy as of one read.
type running struct {
	// id is HAProxy's number of the backend.
	id      string
	servers map[string]server
	// algorithm is the backend's balancing algorithm, and cookie its session cookie. Both are empty if the socket's
	// level does not show them.
	algorithm, cookie string
	// sticky reports that the backend has a stick table.
	sticky bool
	// level is the socket's access level, such as "admin"; empty if HAProxy is too old to report it.
	level string
	// process identifies the process: a reload starts a new one.
	process string
}

// look reads the backend's servers with one line of commands, so the answers are from the same moment.
func (p *Planner) look(ctx context.Context) (running, error) {
	text, err := p.ask(ctx, fmt.Sprintf("show servers state %[1]s; show stat %[1]s 6 -1; show cli level; show info; "+
		"show table", p.cfg.Backend)) // 6: the backend and its servers, -1: all of them
	if err != nil {
		return running{}, err
	}
	if strings.Contains(text, "Can't find backend") || strings.Contains(text, "No such proxy") {
		return running{}, p.problem("HAProxy has no such backend", fmt.Sprintf("It knows no %q.", p.cfg.Backend),
			"backend", planner.ErrMalformed)
	}
	text = strings.TrimLeft(text, "\n")
	answers := strings.Split(text, end)
	// The answers begin like this, and end with an empty line. Anything else is from another server, or was cut off.
	const tables, start = 2, "1\n# be_id"
	switch begins := strings.HasPrefix(text, start); {
	case strings.HasPrefix(start, text), begins && (len(answers) <= tables || !strings.HasSuffix(text, end)):
		return running{}, p.problem("HAProxy's runtime API closed the connection", "Its answer is incomplete.",
			"address", planner.ErrUnreachable)
	case !begins, !strings.HasPrefix(answers[1], "# pxname"):
		return running{}, p.problem("The server at this address is not HAProxy's runtime API",
			fmt.Sprintf("%s answered: %s", p.cfg.Address, short(text)), "address", planner.ErrMalformed)
	}
	r, statistics := running{servers: map[string]server{}}, answers[1]
	if err = r.readState(answers[0]); err == nil && !strings.Contains(statistics, "\n") && r.id != "" {
		// A frontend has the same name, and these are its statistics, without a server.
		if statistics, err = p.statistics(ctx, r.id); err != nil {
			return running{}, err
		}
	}
	if err == nil {
		err = r.readStatistics(statistics)
	}
	if err != nil {
		return running{}, p.problem("HAProxy's statistics can't be parsed", err.Error()+".", "address",
			planner.ErrMalformed)
	}
	if len(r.servers) == 0 {
		return running{}, p.problem("HAProxy has no such backend",
			fmt.Sprintf("Backend %q has no servers.", p.cfg.Backend), "backend", planner.ErrMalformed)
	}
	for _, answer := range answers[tables:] {
		r.readRest(answer, p.cfg.Backend)
	}
	return r, nil
}

// statistics returns the statistics of the backend with HAProxy's number id.
func (p *Planner) statistics(ctx context.Context, id string) (string, error) {
	text, err := p.ask(ctx, fmt.Sprintf("show stat %s 6 -1", id))
	if err == nil && !strings.HasSuffix(text, end) {
		err = p.problem("HAProxy's runtime API closed the connection", "Its answer is incomplete.", "address",
			planner.ErrUnreachable)
	}
	return strings.TrimSpace(text), err
}

// readState reads "show servers state", which contains the configured weights.
func (r *running) readState(text string) error {
	_, text, _ = strings.Cut(text, "# ")
	rows := strings.Split(text, "\n")
	column := columns(strings.Fields(rows[0]))
	for _, row := range rows[1:] {
		fields := strings.Fields(row)
		number := func(name string) int {
			i, ok := column[name]
			if !ok || i >= len(fields) {
				return -1
			}
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				return -1
			}
			return n
		}
		weight, initial, admin := number("srv_uweight"), number("srv_iweight"), number("srv_admin_state")
		if weight < 0 || initial < 0 || admin < 0 || column["srv_name"] == 0 {
			return fmt.Errorf("the line of a server can't be parsed: %q", row)
		}
		s := server{configured: configured{Weight: weight, Admin: ready}, initial: initial}
		switch {
		case admin&flagMaint != 0:
			s.Admin = maint
		case admin&flagDrain != 0:
			s.Admin = drain
		}
		s.agent = max(0, number("srv_agent_state"))&flagAgent != 0
		r.id, r.servers[fields[column["srv_name"]]] = fields[column["be_id"]], s
	}
	return nil
}

// readStatistics reads "show stat", which contains the effective values.
func (r *running) readStatistics(text string) error {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return fmt.Errorf("%w: %s", err, short(text))
	}
	column := columns(rows[0])
	for _, name := range []string{"svname", "status", "bck", "stot", "type"} {
		if _, ok := column[name]; !ok {
			return fmt.Errorf("they have no column %s", name)
		}
	}
	get := func(row []string, name string) string {
		if i, ok := column[name]; ok {
			return row[i]
		}
		return ""
	}
	const backend = "1"
	for _, row := range rows[1:] {
		if get(row, "type") == backend {
			r.algorithm, r.cookie = get(row, "algo"), get(row, "cookie")
			continue
		}
		s, ok := r.servers[get(row, "svname")]
		if !ok {
			continue // a server was added between the two tables
		}
		s.status, s.backup = get(row, "status"), get(row, "bck") == "1"
		if s.sessions, err = strconv.ParseInt(get(row, "stot"), 10, 64); err != nil {
			return err
		}
		r.servers[get(row, "svname")] = s
	}
	return nil
}

// readRest reads the answers besides the two tables, which an old HAProxy may not give.
func (r *running) readRest(text, backend string) {
	switch line := strings.TrimSpace(text); {
	case line == "admin", line == "operator", line == "user":
		r.level = line
	case strings.HasPrefix(line, "Name:"):
		for row := range strings.Lines(line) {
			if name, value, ok := strings.Cut(row, ": "); ok && (name == "Pid" || name == "Start_time_sec") {
				r.process += name + " " + strings.TrimSpace(value) + " "
			}
		}
	case strings.HasPrefix(line, "# table: "):
		for row := range strings.Lines(line) {
			r.sticky = r.sticky || strings.HasPrefix(row, "# table: "+backend+",")
		}
	}
}

func columns(names []string) map[string]int {
	column := map[string]int{}
	for i, name := range names {
		column[name] = i
	}
	return column
}

// state returns the configuration of each version's server, by HAProxy's names of the servers.
func (p *Planner) state(r running) map[string]configured {
	out := map[string]configured{}
	for _, name := range p.cfg.Servers {
		out[name] = r.servers[name].configured
	}
	return out
}

func encode(state map[string]configured) planner.State {
	text, err := json.Marshal(state)
	if err != nil {
		return nil // numbers and strings always encode
	}
	return text
}

// decode decodes a state, which must name exactly the configured servers.
func (p *Planner) decode(state planner.State) (map[string]configured, error) {
	var out map[string]configured
	if err := json.Unmarshal(state, &out); err != nil {
		return nil, p.problem("The state to restore is invalid", err.Error()+".", "servers", planner.ErrShares)
	}
	want := slices.Sorted(maps.Values(p.cfg.Servers))
	if got := slices.Sorted(maps.Keys(out)); !slices.Equal(got, want) {
		return nil, p.problem("The state to restore belongs to other servers",
			fmt.Sprintf("It names %s, and the provider's block %s.", strings.Join(got, ", "), strings.Join(want, ", ")),
			"servers", planner.ErrShares)
	}
	const most = 256
	for name, c := range out {
		if c.Weight < 0 || c.Weight > most || !slices.Contains([]string{ready, drain, maint}, c.Admin) {
			return nil, p.problem("The state to restore is invalid",
				fmt.Sprintf("It says %s with weight %d for %s.", c.Admin, c.Weight, name), "servers", planner.ErrShares)
		}
	}
	return out, nil
}

// shares returns the percentages in a state, and the versions that are down. A server in maintenance gets no traffic,
// regardless of its weight.
func (p *Planner) shares(state map[string]configured) (shares map[string]float64, down []string) {
	shares = map[string]float64{}
	sum := 0
	for version, name := range p.cfg.Servers {
		s := state[name]
		if s.Admin == maint {
			down = append(down, version)
			s.Weight = 0
		}
		shares[version] = float64(s.Weight)
		sum += s.Weight
	}
	slices.Sort(down)
	for version, weight := range shares {
		if sum > 0 {
			shares[version] = planner.Whole * weight / float64(sum)
		}
	}
	return shares, down
}
