package synonymsrefresh_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccMethods refreshes in each way. The plan says which and changes nothing, the apply does it, and the second plan
// is empty.
func TestAccMethods(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		index   kb
		aliased bool
		more    string
		way     string
		changed string
	}{
		// The server reloads by itself when a set changes.
		"reload of a set":  {kb{filter: "from_set"}, false, "", "reload", "false"},
		"reload of a file": {kb{filter: "from_file"}, true, "", "reload", "true"},
		"close and open":   {kb{filter: "fixed_file"}, false, "", "close_open", "true"},
		"reindex through an alias": {kb{filter: "fixed_file", atIndexTime: true}, true, approved +
			"reindex = true\n  slices = 2\n  requests_per_second = 500.5", "reindex", "true"},
		"reindex of a concrete index": {kb{filter: "fixed_file", atIndexTime: true}, false, approved +
			"reindex = true", "reindex", "true"},
		"reindex, old index not kept": {kb{filter: "fixed_file", atIndexTime: true}, true, approved +
			"reindex = true\n  keep_old_index = false", "reindex", "true"},
		"reindex that was not necessary": {kb{filter: "from_file"}, true, approved + "reindex = true", "reindex",
			"true"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			client := r.base + "-v1"
			if tt.aliased {
				client = r.base
				tt.index.alias = client
			}
			old := r.index(t, "v1", tt.index)
			if r.finds(t, client, "cabrio") {
				t.Fatal("found before the synonyms were there")
			}
			r.putFile(t, "laptop, notebook", "cabrio, convertible")
			r.putSet(t, "laptop, notebook", "cabrio, convertible")
			r.Write("main.tf", config(client, tt.index.filter, tt.more+"\n  probe_texts = [\"cabrio\"]"))
			before := r.seen(t)
			out := r.Must("plan", "-no-color")
			if l := lacks(out, fmt.Sprintf("way = %q", tt.way), "Chosen because",
				"syn tokenizes \"cabrio\" as: "); len(l) > 0 {
				t.Errorf("the plan lacks %q:\n%s", l, out)
			}
			if diff := cmp.Diff(before, r.seen(t)); diff != "" {
				t.Errorf("the plan changed something (-before +after):\n%s", diff)
			}
			r.Must("apply", "-auto-approve", "-no-color")
			if status, history := r.status(); status != "success" || history != 1 ||
				r.attribute("preview")["way"] != tt.way || r.detail("changed") != tt.changed {
				t.Errorf("status %s, %d executions, way %v, changed %s", status, history, r.attribute("preview")["way"],
					r.detail("changed"))
			}
			if !r.finds(t, client, "cabrio") {
				t.Error("a query does not find by the new synonyms")
			}
			if tt.way == "reindex" {
				_, number, _ := strings.Cut(fmt.Sprint(r.Attributes(address)["id"]), "-")
				if made := old + "-reindexed-" + number; r.target(t, client) != made ||
					r.detail("documents") != "1" {
					t.Errorf("%s refers to %s, want %s; %s documents", client, r.target(t, client), made,
						r.detail("documents"))
				}
			}
			r.empty(t)
		})
	}
}

// TestAccReviewedDryRun compares the plan of a reload with a golden file.
func TestAccReviewedDryRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.index(t, "v1", kb{filter: "from_file", alias: r.base})
	r.putFile(t, "laptop, notebook, portable", "cabrio, convertible")
	r.Write("main.tf", config(r.base, "from_file", `probe_texts = ["laptop", "cabrio"]`))
	acctest.Golden(t, "reload.txt", r.anonymous(r.Must("plan", "-no-color")))
	r.Must("apply", "-auto-approve", "-no-color")
	for name, want := range map[string]string{"probe_1": `"laptop" (syn): gained portable`,
		"probe_2": `"cabrio" (syn): gained convertible`, "changed": "true"} {
		if got := r.detail(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestAccUnapprovedReindex covers the plan, a refusal that changes nothing on the server, an approved reindex, and the
// undo.
func TestAccUnapprovedReindex(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.index(t, "v1", kb{filter: "fixed_file", atIndexTime: true, alias: r.base})
	r.putFile(t, "laptop, notebook", "cabrio, convertible")
	more := "reindex     = true\n  slices      = 2\n  probe_texts = [\"cabrio\"]\n  on_destroy  = \"rollback\"\n  "
	r.Write("main.tf", config(r.base, "fixed_file", more))
	before := r.seen(t)
	acctest.Golden(t, "unapproved_reindex.txt", r.anonymous(r.Must("plan", "-no-color")))
	refusal := r.MustFail("apply", "-auto-approve", "-no-color")
	if l := lacks(refusal, "refresh_synonyms needs an approval", "reindex copies every document of "+old,
		"Nothing has run"); len(l) > 0 {
		t.Errorf("the refusal lacks %q:\n%s", l, refusal)
	}
	if diff := cmp.Diff(before, r.seen(t)); diff != "" || r.Attributes(address) != nil {
		t.Errorf("the refused apply changed something (-before +after):\n%s", diff)
	}
	r.Write("main.tf", config(r.base, "fixed_file", more+approved))
	r.Must("apply", "-auto-approve", "-no-color")
	made := r.target(t, r.base)
	if !strings.HasPrefix(made, old+"-reindexed-") || !r.finds(t, r.base, "cabrio") {
		t.Fatalf("%s refers to %s", r.base, made)
	}
	r.empty(t)
	out := r.Must("plan", "-destroy", "-no-color")
	if l := lacks(out, "Destroy undoes execution", "point "+r.base+" back to "+old,
		"What was written since the reindex is in "+made+" only"); len(l) > 0 {
		t.Errorf("the plan of the destroy lacks %q:\n%s", l, out)
	}
	r.Must("destroy", "-auto-approve", "-no-color")
	if got := r.target(t, r.base); got != old {
		t.Errorf("%s refers to %s, want %s again", r.base, got, old)
	}
}

// TestAccReloadReportsChangedTokens covers reloads that succeed without the expected effect.
func TestAccReloadReportsChangedTokens(t *testing.T) {
	t.Parallel()
	t.Run("nothing changed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.index(t, "v1", kb{filter: "from_file", alias: r.base})
		r.Write("main.tf", config(r.base, "from_file", `probe_texts = ["laptop"]`))
		if out := r.Must("plan", "-no-color"); len(lacks(out, "No probe text will be tokenized differently")) > 0 {
			t.Errorf("the plan does not tell:\n%s", out)
		}
		r.Must("apply", "-auto-approve", "-no-color")
		if got := fmt.Sprint(r.attribute("result")["message"]); !strings.Contains(got,
			"no probe text is analyzed differently") || r.detail("changed") != "false" {
			t.Errorf("message %q, changed %s", got, r.detail("changed"))
		}
	})
	t.Run("emptied", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.index(t, "v1", kb{filter: "lenient", alias: r.base})
		r.putFile(t, "!, ?") // the analyzer removes these completely
		r.Write("main.tf", config(r.base, "lenient", `probe_texts = ["laptop"]`))
		if out := r.Must("plan", "-no-color"); len(lacks(out, `(lost notebook)`,
			"The filter is lenient, and drops at least one rule")) > 0 {
			t.Errorf("the plan does not tell:\n%s", out)
		}
		r.Must("apply", "-auto-approve", "-no-color")
		if status, history := r.status(); status != "success" || history != 1 || r.detail("changed") != "true" {
			t.Errorf("status %s, %d executions, changed %s", status, history, r.detail("changed"))
		}
		r.empty(t)
	})
}

// TestAccRulesSinceTheLastExecution compares the rules of a set with those that the last execution recorded.
func TestAccRulesSinceTheLastExecution(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.index(t, "v1", kb{filter: "from_set", alias: r.base})
	plan := func(trigger string) string {
		r.Write("main.tf", config(r.base, "from_set", fmt.Sprintf("triggers = { rules = %q }", trigger)))
		return strings.Join(strings.Fields(r.Must("plan", "-no-color")), " ")
	}
	if out := plan("1"); !strings.Contains(out, "Rules: loaded for the first time, 1 rule") {
		t.Errorf("the first plan:\n%s", out)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	number := func() string {
		_, number, _ := strings.Cut(fmt.Sprint(r.Attributes(address)["id"]), "-")
		return number
	}
	if out := plan("2"); !strings.Contains(out, "Rules since execution "+number()+": unchanged") {
		t.Errorf("a plan with the same rules:\n%s", out)
	}
	r.putSet(t, "cabrio, convertible", "tv, television")
	want := "Rules since execution " + number() +
		": +2, -1 (added: cabrio, convertible; tv, television; removed: laptop, notebook)"
	if out := plan("2"); !strings.Contains(out, want) {
		t.Errorf("a plan with other rules lacks %q:\n%s", want, out)
	}
}

// atSwitch is a proxy in front of the server that calls hook right before the aliases are switched.
func (r rig) atSwitch(t *testing.T, hook func()) string {
	t.Helper()
	target, err := url.Parse(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/_aliases" {
			hook()
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestAccFailedReindexKeepsItsUndo covers a reindex whose check finds that the new index, which clients
// already use, no longer has the synonyms of the file.
func TestAccFailedReindexKeepsItsUndo(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("tried again=%t", again), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			old := r.index(t, "v1", kb{filter: "fixed_lenient", atIndexTime: true, alias: r.base})
			var failing atomic.Bool
			failing.Store(true)
			endpoint := r.atSwitch(t, func() {
				if failing.CompareAndSwap(true, false) {
					r.putFile(t, "laptop, portable")
				}
			})
			r.Workspace = acctest.NewWorkspace(t, r.server.Environment(endpoint)...)
			r.Write("main.tf", config(r.base, "fixed_lenient",
				approved+"reindex = true\n  probe_texts = [\"laptop\"]\n  on_destroy = \"rollback\""))
			if out := r.MustFail("apply", "-auto-approve", "-no-color"); len(lacks(out,
				"The synonyms were not loaded")) > 0 {
				t.Fatalf("the error does not tell:\n%s", out)
			}
			bad := r.target(t, r.base)
			if status, _ := r.status(); status != "failed" || bad == old ||
				r.attribute("rollback_action")["action_type"] != "refresh_synonyms" {
				t.Fatalf("status %s, %s refers to %s, way back %v", status, r.base, bad,
					r.attribute("rollback_action"))
			}
			want := old
			if again {
				// The failed one is replaced, and that undoes nothing: the plan has shown a reindex of what clients use
				// now.
				r.putFile(t, "laptop, notebook")
				r.Write("main.tf", config(r.base, "fixed_lenient", strings.Replace(approved, "lead@", "boss@", 1)+
					"reindex = true\n  probe_texts = [\"laptop\"]\n  on_destroy = \"rollback\""))
				r.Must("apply", "-auto-approve", "-no-color")
				if status, history := r.status(); status != "success" || history != 2 || r.detail("old_index") != bad {
					t.Errorf("status %s, %d executions, reindexed %s, want %s", status, history, r.detail("old_index"),
						bad)
				}
				want = bad
			}
			if out := r.Must("destroy", "-auto-approve", "-no-color"); len(lacks(out, "Destroy undoes execution")) > 0 {
				t.Errorf("the undo is not announced:\n%s", out)
			}
			if got := r.target(t, r.base); got != want {
				t.Errorf("%s refers to %s, want %s", r.base, got, want)
			}
		})
	}
}
