// Package haproxytest runs a real HAProxy in front of small servers, and sends requests through it.
package haproxytest

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// Setup configures the backend "planner". The zero value is what Start uses.
type Setup struct {
	// Balance is the balancing algorithm; empty: roundrobin.
	Balance string
	// Lines are further lines of the backend, such as "cookie SRV insert".
	Lines []string
	// Frontend is the name of the frontend; empty: traffic. It can be that of the backend.
	Frontend string
	// Servers are the options of srv1, srv2 and so on, such as "weight 90 check". None: 90 and 10.
	Servers []string
}

// Server is a running HAProxy with the backend "planner", whose servers srv1, srv2 and so on answer with "v1", "v2".
type Server struct {
	// Socket is the runtime API's address at level admin, Operator at level operator; URL is that of the traffic.
	Socket, Operator, URL string
	path, config          string
	client                *http.Client
	down                  []*atomic.Bool
}

// Start starts a HAProxy with 90% for srv1 and 10% for srv2. It fails the test if there is none.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, Setup{})
}

// StartWith starts a HAProxy with another backend.
func StartWith(t testing.TB, setup Setup) *Server {
	t.Helper()
	if len(setup.Servers) == 0 {
		setup.Servers = []string{"weight 90", "weight 10"}
	}
	setup.Balance, setup.Frontend = cmp.Or(setup.Balance, "roundrobin"), cmp.Or(setup.Frontend, "traffic")
	// The path of a Unix socket must be short, and the folders of tests have long paths.
	dir, err := os.MkdirTemp("", "hap") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := spawn.Address(t)
	s := &Server{path: filepath.Join(dir, "s"), URL: "http://" + address, config: filepath.Join(dir, "haproxy.cfg"),
		client: &http.Client{Timeout: 10 * time.Second}}
	s.Socket, s.Operator = "unix://"+s.path, "unix://"+s.path+"o"
	backend := append([]string{"balance " + setup.Balance}, setup.Lines...)
	for i, options := range setup.Servers {
		backend = append(backend, fmt.Sprintf("server srv%d %s %s", i+1, s.serve(t, i), options))
	}
	text := fmt.Sprintf(`global
    stats socket %[1]s mode 600 level admin
    stats socket %[1]so mode 600 level operator
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend %s
    bind %s
    default_backend planner
backend planner
    option httpchk GET /health
    %s
`, s.path, setup.Frontend, address, strings.Join(backend, "\n    "))
	const private = 0o600
	if err := os.WriteFile(s.config, []byte(text), private); err != nil {
		t.Fatal(err)
	}
	spawn.Start(t, s.up, program(), "-db", "-f", s.config)
	return s
}

// serve starts the HTTP server behind server i, and returns its address.
func (s *Server) serve(t testing.TB, i int) string {
	t.Helper()
	down := &atomic.Bool{}
	s.down = append(s.down, down)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprintf(w, "v%d", i+1)
	}))
	t.Cleanup(served.Close)
	return strings.TrimPrefix(served.URL, "http://")
}

// Fail lets the health checks of a server, counted from 1, fail or pass.
func (s *Server) Fail(server int, down bool) { s.down[server-1].Store(down) }

// Reload replaces the process, as "systemctl reload haproxy" does: what was set at run time is lost.
func (s *Server) Reload(t testing.TB) {
	t.Helper()
	pid := s.pid(t)
	spawn.Start(t, func() bool { return s.up() && s.pid(t) != pid }, program(), "-db", "-f", s.config, "-sf", pid)
}

func (s *Server) pid(t testing.TB) string {
	t.Helper()
	for line := range strings.Lines(s.Say(t, "show info")) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strings.TrimSpace(pid)
		}
	}
	return ""
}

func (s *Server) up() bool {
	conn, err := net.Dial("unix", s.path) //nolint:noctx // a test
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// program is haproxy, which distributions keep out of users' PATH.
func program() string {
	const usual = "/usr/sbin/haproxy"
	if _, err := os.Stat(usual); err == nil {
		return usual
	}
	return "haproxy"
}

// Configured returns what is configured for each server: its line of "show servers state", reduced to name,
// administrative state and weight.
func (s *Server) Configured(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(s.Say(t, "show servers state planner")) {
		const name, admin, weight = 3, 6, 7
		if fields := strings.Fields(line); len(fields) > weight && fields[0] != "#" {
			fmt.Fprintf(&out, "%s admin %s weight %s\n", fields[name], fields[admin], fields[weight])
		}
	}
	return out.String()
}

// Say sends one line to the runtime API, as an administrator would, and returns the answer.
func (s *Server) Say(t testing.TB, line string) string {
	t.Helper()
	conn, err := net.Dial("unix", s.path) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// Request sends one request and returns the version that answered.
func (s *Server) Request() (string, error) {
	resp, err := s.client.Get(s.URL) //nolint:noctx // a test, bounded by the client's timeout
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(body), err
}
