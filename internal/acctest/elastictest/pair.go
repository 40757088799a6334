package elastictest

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"testing"
)

// Pair starts a cluster of the test's own with two nodes, so that shards can have copies. Config is that of the first one, which stays; the
// second one is for Server.Down and Server.Up.
func Pair(tb testing.TB) (first, second *Server) {
	tb.Helper()
	port := freePort(tb)
	name := "cluster.name: remediation-test-" + rand.Text()
	first = node(tb, []string{name, "node.name: first", "cluster.initial_master_nodes: first", "transport.port: " + port})
	second = node(tb, []string{name, "node.name: second", "node.roles: [data, ingest]", "discovery.seed_hosts: 127.0.0.1:" + port, "transport.port: 0"})
	first.Do(tb, http.MethodGet, "/_cluster/health?wait_for_nodes=2&timeout=1m", nil, nil)
	return first, second
}

func node(tb testing.TB, cluster []string) *Server {
	tb.Helper()
	s, err := start(false, cluster)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.stop)
	return s
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(fmt.Errorf("address of a listener: %w", err))
	}
	return port
}
