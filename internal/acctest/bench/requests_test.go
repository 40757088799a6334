package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// besideRequests compares our apply with that of the bare provider plus the same requests sent by curl, ten at a time
// like Terraform.
func besideRequests(b *testing.B, s *elastictest.Server, clearing subject, costs map[string]cost) {
	b.Helper()
	var all []time.Duration
	commands := recorded(b, s, clearing)
	for range rounds {
		cmd := exec.CommandContext(b.Context(), "curl", "--silent", "--fail", "--parallel", "--parallel-max", "10",
			"--config", "-")
		cmd.Stdin = strings.NewReader(commands)
		begun := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("curl: %v\n%s", err, out)
		}
		all = append(all, time.Since(begun))
	}
	slices.Sort(all)
	alone := all[len(all)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(strings.Count(commands, "url =")), "requests")
	b.ReportMetric(alone.Seconds(), "curl-s")
	b.ReportMetric(costs[bare].wall["apply"].Seconds(), "bare-s")
	b.ReportMetric(costs[ours].wall["apply"].Seconds(), "apply-s")
	b.ReportMetric(ratio(costs[ours].wall["apply"], costs[bare].wall["apply"]+alone), "apply/(bare+curl)")
}

// recorded applies once and returns the requests that this sent, as a curl configuration.
func recorded(b *testing.B, s *elastictest.Server, clearing subject) string {
	b.Helper()
	to, err := url.Parse(s.URL())
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var commands strings.Builder
	forward := httputil.NewSingleHostReverseProxy(to)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		mu.Lock()
		if commands.Len() > 0 {
			commands.WriteString("next\n")
		}
		fmt.Fprintf(&commands, "request = %q\nurl = %q\noutput = \"/dev/null\"\n", r.Method, s.URL()+r.RequestURI)
		if len(body) > 0 {
			fmt.Fprintf(&commands, "header = \"Content-Type: application/json\"\ndata = %q\n", body)
		}
		mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	w := acctest.NewWorkspaceOf(b, filepath.Dir(clearing.binary), s.Environment(proxy.URL)...)
	w.Write("main.tf", clearing.config(alike))
	timed(b, w, "plan", "-out=saved.tfplan")
	mu.Lock()
	commands.Reset()
	mu.Unlock()
	timed(b, w, "apply", "saved.tfplan")
	return commands.String()
}
