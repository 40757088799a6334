package elastictest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// Pair starts a separate cluster with two nodes for this test, so shards can have replicas. Config connects to the
// first node, which stays up. Server.Down and Server.Up control the second one.
func Pair(tb testing.TB) (first, second *Server) {
	tb.Helper()
	_, port, _ := strings.Cut(spawn.Address(tb), ":")
	name := "cluster.name: remediation-test-" + rand.Text()
	first = own(tb, false, []string{name, "node.name: first", "cluster.initial_master_nodes: first",
		"transport.port: " + port})
	second = own(tb, false, []string{name, "node.name: second", "node.roles: [data, ingest]",
		"discovery.seed_hosts: 127.0.0.1:" + port, "transport.port: 0"})
	first.Do(tb, http.MethodGet, "/_cluster/health?wait_for_nodes=2&timeout=1m", nil, nil)
	return first, second
}
