// Package haproxytest runs a real HAProxy in front of two small servers, and sends requests through it.
package haproxytest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// Server is a running HAProxy with the backend "planner", whose servers srv1 and srv2 answer with "v1" and "v2".
type Server struct {
	// Socket is the runtime API's address, URL that of the traffic.
	Socket, URL string
	path        string
	client      *http.Client
}

// Start starts a HAProxy with 90 % for srv1 and 10 % for srv2. It fails the test where there is none.
func Start(t testing.TB) *Server {
	t.Helper()
	backends := make([]string, 2)
	for i := range backends {
		version := fmt.Sprintf("v%d", i+1)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_,
				_ = io.WriteString(w, version)
		}))
		t.Cleanup(s.Close)
		backends[i] = strings.TrimPrefix(s.URL, "http://")
	}
	// Paths of Unix sockets are short, and those of tests' folders are not.
	dir, err := os.MkdirTemp("", "hap") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := spawn.Address(t)
	s := &Server{path: filepath.Join(dir, "s"), URL: "http://" + address,
		client: &http.Client{Timeout: 10 * time.Second}}
	s.Socket = "unix://" + s.path
	config := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
    stats socket %s mode 600 level admin
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend traffic
    bind %s
    default_backend planner
backend planner
    balance roundrobin
    server srv1 %s weight 90
    server srv2 %s weight 10
`, s.path, address, backends[0], backends[1])
	const private = 0o600
	if err := os.WriteFile(config, []byte(text), private); err != nil {
		t.Fatal(err)
	}
	up := func() bool {
		conn, err := net.Dial("unix", s.path) //nolint:noctx // a test
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
	spawn.Start(t, up, program(), "-db", "-f", config)
	return s
}

// program is haproxy, which distributions keep out of users' PATH.
func program() string {
	const usual = "/usr/sbin/haproxy"
	if _, err := os.Stat(usual); err == nil {
		return usual
	}
	return "haproxy"
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
