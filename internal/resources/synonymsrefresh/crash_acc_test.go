package synonymsrefresh_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// gate is a proxy to the server. While it is closed, it delays requests whose path has a certain suffix, and reports
// the first.
type gate struct {
	*httptest.Server
	came chan struct{}

	mu     sync.Mutex
	ending string
	opened chan struct{}
	seen   []string
}

func newGate(t *testing.T, to, ending string) *gate {
	t.Helper()
	server, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{came: make(chan struct{}, 1), ending: ending, opened: make(chan struct{})}
	proxy := httputil.NewSingleHostReverseProxy(server)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.Method+" "+r.URL.Path)
		held := g.ending != "" && strings.HasSuffix(r.URL.Path, g.ending)
		g.mu.Unlock()
		if held {
			select {
			case g.came <- struct{}{}:
			default:
			}
			select {
			case <-g.opened:
			case <-r.Context().Done():
			}
			return // the request of a client that is gone, never passed on
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// open lets every request through from now on.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ending = ""
	close(g.opened)
}

// count returns the number of requests with that suffix.
func (g *gate) count(ending string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, s := range g.seen {
		if strings.HasSuffix(s, ending) {
			n++
		}
	}
	return n
}

// killed starts an apply, and kills Terraform and the provider when the gate delays a request. Then it calls meanwhile.
func (r rig) killed(t *testing.T, g *gate, meanwhile func()) {
	t.Helper()
	cmd := r.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const patience = time.Minute
	select {
	case <-g.came:
	case <-time.After(patience):
		t.Error("the apply never came so far")
	}
	meanwhile()
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Error("the apply was not killed")
	}
	if t.Failed() {
		t.Fatal(out.String())
	}
	g.open()
}

// TestAccKilledWhileTheIndexIsClosed kills Terraform and the provider between closing and opening. The index is
// then closed and can't be previewed. The next apply opens it and records the outcome of the execution.
func TestAccKilledWhileTheIndexIsClosed(t *testing.T) {
	t.Parallel()
	for _, update := range []bool{false, true} {
		for _, saved := range []bool{false, true} {
			t.Run(fmt.Sprintf("update=%t,saved plan=%t", update, saved), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				index := r.index(t, "v1", kb{filter: "fixed_file"})
				executions := 1
				if update {
					executions++
				}
				g := newGate(t, r.server.URL(), "/_open")
				r.Workspace = acctest.NewWorkspace(t, r.server.Environment(g.URL)...)
				body := "probe_texts = [\"cabrio\"]\n  triggers = { run = \"%d\" }"
				if update {
					g.mu.Lock()
					g.ending = ""
					g.mu.Unlock()
					r.Write("main.tf", config(index, "fixed_file", fmt.Sprintf(body, 1)))
					r.Must("apply", "-auto-approve", "-no-color")
					g.mu.Lock()
					g.ending = "/_open"
					g.mu.Unlock()
				}
				r.putFile(t, "laptop, notebook", "cabrio, convertible")
				r.Write("main.tf", config(index, "fixed_file", fmt.Sprintf(body, 2)))
				r.killed(t, g, func() {})
				if r.isOpen(t, index) {
					t.Fatal("the index is open: there is nothing to find")
				}
				opened, closed := g.count("/_open"), g.count("/_close")
				out := r.Must("plan", "-no-color", "-out=next.tfplan")
				if l := lacks(out, "of refresh_synonyms is still open on it, started at ", "by process ", index+" "+
					"is closed",
					"apply first adopts",
					"dry_run = ", "(known after apply)"); len(l) > 0 {
					t.Errorf("the plan lacks %q:\n%s", l, out)
				}
				if r.isOpen(t, index) {
					t.Error("the plan opened the index")
				}
				if saved {
					r.Must("apply", "-no-color", "next.tfplan")
				} else {
					r.Must("apply", "-auto-approve", "-no-color")
				}
				if !r.isOpen(t, index) || !r.finds(t, index, "cabrio") {
					t.Errorf("the index is open: %t", r.isOpen(t, index))
				}
				if g.count("/_open") != opened+1 || g.count("/_close") != closed {
					t.Errorf("opened %d times, closed %d times more", g.count("/_open")-opened,
						g.count("/_close")-closed)
				}
				status, history := r.status()
				if status != "success" || history != executions || r.detail("changed") != "true" ||
					r.attribute("preview")["way"] != "close_open" {
					t.Errorf("status %s, %d executions, changed %s, preview %v", status, history, r.detail("changed"),
						r.attribute("preview"))
				}
				r.empty(t)
			})
		}
	}
}

// TestAccOneExecutionPerIndexUnderTwoNames checks that two names of one index are one target, during an execution and
// after its process has terminated.
func TestAccOneExecutionPerIndexUnderTwoNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alias := r.base + "-alias"
	index := r.index(t, "v1", kb{filter: "fixed_file", alias: alias})
	g := newGate(t, r.server.URL(), "/_open")
	env := append(r.server.Environment(g.URL), "REMEDIATION_JOURNAL_PATH="+filepath.Join(t.TempDir(), "journal.db"))
	r.Workspace = acctest.NewWorkspace(t, env...)
	byName := r
	byName.Workspace = acctest.NewWorkspace(t, env...)
	r.putFile(t, "cabrio, convertible")
	r.Write("main.tf", config(alias, "fixed_file", ""))
	r.killed(t, g, func() {
		byName.Write("main.tf", config(index, "fixed_file", `timeouts { create = "3s" }`))
		out := byName.MustFail("apply", "-auto-approve", "-no-color")
		if l := lacks(out, "Another execution has locked elasticsearch:", alias, "It works on what elasticsearch:",
			index+" refers to", "Nothing has run"); len(l) > 0 {
			t.Errorf("the apply lacks %q:\n%s", l, out)
		}
	})
	if g.count("/_close") != 1 {
		t.Errorf("closed %d times", g.count("/_close"))
	}
	byName.Write("main.tf", config(index, "fixed_file", ""))
	byName.Must("apply", "-auto-approve", "-no-color")
	// Opened for the dead execution, then closed and opened for this one.
	if status, _ := byName.status(); status != "success" || !byName.finds(t, index, "cabrio") ||
		g.count("/_close") != 2 {
		t.Errorf("status %s, closed %d times", status, g.count("/_close"))
	}
	if out := r.Must("apply", "-auto-approve", "-no-color"); g.count("/_close") != 2 ||
		r.detail("taken_over_from") == "<nil>" {
		t.Errorf("the dead execution was not recorded but run again:\n%s", out)
	}
}
