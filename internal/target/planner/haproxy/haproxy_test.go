package haproxy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/haproxy"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/plannertest"
)

func config(s *haproxytest.Server) haproxy.Config {
	return haproxy.Config{Address: s.Socket, Backend: "planner", Servers: map[string]string{"v1": "srv1", "v2": "srv2"}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plannertest.Run(t, func(t *testing.T) plannertest.Backend {
		t.Helper()
		s := haproxytest.Start(t)
		return plannertest.Backend{
			Planner: haproxy.New(config(s)), Second: haproxy.New(config(s)), Weak: true,
			Foreign: func(t *testing.T, percent float64) {
				t.Helper()
				s.Say(t, fmt.Sprintf("set server planner/srv1 weight %g; set server planner/srv2 weight %g",
					100-percent, percent))
			},
		}
	})
}

func TestUnexpectedConfiguration(t *testing.T) {
	t.Parallel()
	s := haproxytest.Start(t)
	stranger := listen(t, "I am no HAProxy\n")
	for name, tt := range map[string]struct {
		change func(*haproxy.Config)
		want   error
		says   string
	}{
		"no backend": {func(c *haproxy.Config) { c.Backend = "nowhere" }, planner.ErrMalformed, "nowhere"},
		"no server": {func(c *haproxy.Config) { c.Servers = map[string]string{"v1": "srv1", "v2": "srv9"} },
			planner.ErrMalformed, "srv1, srv2"},
		"another server": {func(c *haproxy.Config) { c.Servers = map[string]string{"v1": "srv1"} },
			planner.ErrMalformed, "planner/srv2 has weight 10"},
		"another socket": {func(c *haproxy.Config) { c.Address = stranger }, planner.ErrMalformed, "I am no HAProxy"},
		"no socket": {func(c *haproxy.Config) { c.Address = "unix:///nowhere/at/all" }, planner.ErrUnreachable,
			"can't be reached"},
		"no address": {func(c *haproxy.Config) { c.Address = "/run/haproxy.sock" }, planner.ErrUnreachable,
			"unix://"},
	} {
		cfg := config(s)
		tt.change(&cfg)
		if _, err := haproxy.New(cfg).Read(t.Context()); !errors.Is(err, tt.want) ||
			!strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// listen starts a server that answers every request with text.
func listen(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024)) // one line fits
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return "unix://" + path
}
