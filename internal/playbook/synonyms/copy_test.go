package synonyms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

func (f fixture) alias(t *testing.T, name string, indices ...string) {
	t.Helper()
	for _, i := range indices {
		f.Do(t, http.MethodPost, "/_aliases", fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, i, name),
			nil)
	}
}

// indices are the names of all indices of the fixture.
func (f fixture) indices(t *testing.T) []string {
	t.Helper()
	var answer struct {
		Indices []struct{ Name string }
	}
	f.Do(t, http.MethodGet, "/_resolve/index/"+f.base+"*?expand_wildcards=all", nil, &answer)
	var out []string
	for _, i := range answer.Indices {
		out = append(out, i.Name)
	}
	return out
}

func TestReindexAndBack(t *testing.T) {
	t.Parallel()
	for _, concrete := range []bool{false, true} {
		t.Run(fmt.Sprintf("concrete=%t", concrete), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			old := f.makeIndex(t, "v1", "from_file_fixed", true)
			name, kept := f.base+"-alias", old
			if f.alias(t, name, old); concrete {
				name, kept = old, old+"-reindexed-12-before"
			}
			f.putFile(t, "laptop, notebook", "cabrio, convertible")
			action := f.bind(t, f.Config, map[string]any{
				"index_name": name, "synonym_filter": "from_file_fixed", "reindex": true, "slices": 2,
				"probe_texts": []string{"convertible"},
			})
			before := f.indices(t)
			p, facts := preview(t, action)
			if diff := cmp.Diff(before, f.indices(t)); diff != "" {
				t.Errorf("the preview changed the indices (-before +after):\n%s", diff)
			}
			if facts.Way != synonyms.WayReindex || !p.RollbackAvailable ||
				!strings.Contains(strings.Join(p.Commands, "\n"), "slices=2") {
				t.Errorf("preview %+v", p)
			}
			j := &journal{}
			outcome, err := dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p, Checkpoint: j.checkpoint})
			if err != nil {
				t.Fatal(err)
			}
			// The document was indexed with the old synonyms: only a reindex lets a keyword-like query find it.
			if !f.finds(t, name, "cabrio") || outcome.Details["documents"] != "1" ||
				outcome.Details["probe_1"] != `"convertible" (syn): gained cabrio` {
				t.Errorf("outcome %+v", outcome)
			}
			if outcome.Undo == nil || outcome.Undo.ActionType != synonyms.ActionType {
				t.Fatalf("undo %+v", outcome.Undo)
			}
			params, ok := outcome.Undo.Params.(map[string]any)
			if !ok || params["restore_index"] != kept {
				t.Fatalf("undo %+v, want the index %s", outcome.Undo, kept)
			}
			f.restore(t, params, name, kept)
		})
	}
}

// restore undoes a reindex, and shows that it can be done once.
func (f fixture) restore(t *testing.T, params map[string]any, name, kept string) {
	t.Helper()
	back := f.bind(t, f.Config, params)
	p, facts := preview(t, back)
	if facts.Way != synonyms.WayRestore || len(p.ApprovalReasons) > 0 {
		t.Errorf("preview of the way back: %+v", p)
	}
	if _, err := back.Adopt(t.Context(), playbook.Job{ID: 13, Preview: p}); !errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("adopting it before: %v", err)
	}
	if _, err := dispatch(t.Context(), t, back, playbook.Job{ID: 13, Preview: p,
		Checkpoint: (&journal{}).checkpoint}); err != nil {
		t.Fatal(err)
	}
	var found map[string]any
	f.Do(t, http.MethodGet, "/_alias/"+name, nil, &found)
	if _, ok := found[kept]; !ok || len(found) != 1 {
		t.Errorf("%s stands for %v, want %s", name, found, kept)
	}
	f.Do(t, http.MethodPost, "/"+name+"/_doc", `{"t":"writable"}`, nil)
	if _, err := back.Preview(t.Context()); !errors.Is(err, synonyms.ErrNoWay) {
		t.Errorf("a second time: %v, want ErrNoWay", err)
	}
	if _, err := back.Adopt(t.Context(), playbook.Job{ID: 13, Preview: p}); err != nil {
		t.Errorf("adopting it afterwards: %v", err)
	}
}

func TestCancelledReindexLeavesEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.makeIndex(t, "v1", "from_file_fixed", true)
	name := f.base + "-alias"
	f.alias(t, name, old)
	ctx, cancel := context.WithCancel(t.Context())
	action := f.bind(t, f.Config, map[string]any{"index_name": name, "synonym_filter": "from_file_fixed",
		"reindex": true})
	p, _ := preview(t, action)
	j := &journal{hook: func(text json.RawMessage) {
		if strings.Contains(string(text), `"stage":"copy"`) {
			cancel()
		}
	}}
	if _, err := dispatch(ctx, t, action, playbook.Job{ID: 12, Preview: p, Checkpoint: j.checkpoint}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if diff := cmp.Diff([]string{old}, f.indices(t)); diff != "" {
		t.Errorf("indices (-want +got):\n%s", diff)
	}
	if !f.finds(t, name, "convertible") {
		t.Error("the alias is not where it was")
	}
}

// TestTakenOverReindexIsLeftToTheNewHolder takes the execution away in the middle: the copy continues for the new
// holder.
func TestTakenOverReindexIsLeftToTheNewHolder(t *testing.T) {
	t.Parallel()
	for _, byContext := range []bool{false, true} {
		t.Run(fmt.Sprintf("context=%t", byContext), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			old := f.makeIndex(t, "v1", "from_file_fixed", true)
			name := f.base + "-alias"
			f.alias(t, name, old)
			action := f.bind(t, f.Config, map[string]any{"index_name": name, "synonym_filter": "from_file_fixed",
				"reindex": true})
			p, _ := preview(t, action)
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			j := &journal{}
			lost := func(ctx context.Context, step any) error {
				err := j.checkpoint(ctx, step)
				if text := string(encode(t, step)); err != nil || !strings.Contains(text, `"stage":"copy"`) {
					return err
				}
				if !byContext {
					return playbook.ErrTakenOver
				}
				end(playbook.ErrTakenOver)
				return nil
			}
			if _, err := dispatch(ctx, t, action, playbook.Job{ID: 12, Preview: p, Checkpoint: lost}); !errors.Is(err,
				playbook.ErrTakenOver) {
				t.Errorf("error %v, want ErrTakenOver", err)
			}
			if now := f.indices(t); len(now) != 2 {
				t.Errorf("indices %v: the new one has to stay", now)
			}
		})
	}
}

func TestUnsupportedIndices(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.makeIndex(t, "one", "from_file", false), f.makeIndex(t, "two", "from_file", false)
	f.alias(t, f.base+"-both", one, two)
	sourceless := f.base + "-sourceless"
	f.Do(t, http.MethodPut, "/"+sourceless, map[string]any{
		"settings": map[string]any{"analysis": map[string]any{"filter": f.filters(), "analyzer": map[string]any{
			"syn": map[string]any{"tokenizer": "standard", "filter": []string{"from_file"}},
		}}},
		"mappings": map[string]any{"_source": map[string]any{"enabled": false},
			"properties": map[string]any{"t": map[string]any{"type": "text", "search_analyzer": "syn"}}},
	}, nil)
	blocked := f.makeIndex(t, "blocked", "from_file", false)
	f.Do(t, http.MethodPut, "/"+blocked+"/_block/write", nil, nil)
	for name, path := range map[string]string{f.base + "-both": "index_name", sourceless: "reindex", f.base +
		"-on*": "index_name", blocked: "index_name"} {
		_, err := f.bind(t, f.Config, map[string]any{"index_name": name, "synonym_filter": "from_file",
			"reindex": true}).Preview(t.Context())
		if !errors.Is(err, synonyms.ErrNoWay) {
			t.Errorf("%s: %v, want ErrNoWay", name, err)
		} else if p := problem.Of(err, ""); p.Path[0] != path {
			t.Errorf("%s: path %v, want %s", name, p.Path, path)
		}
	}
	f.Do(t, http.MethodPost, "/"+one+"/_close", nil, nil)
	if _, err := f.bind(t, f.Config, map[string]any{"index_name": one,
		"synonym_filter": "from_file"}).Preview(t.Context()); !errors.Is(err, elastic.ErrClosed) {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}

func TestTemplateThatWouldPointClientsToTheUnfinishedIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.makeIndex(t, "v1", "from_file", false)
	template := "/_index_template/" + f.base
	f.Do(t, http.MethodPut, template,
		fmt.Sprintf(`{"index_patterns":["%s-v1-*"],"priority":500,"template":{"aliases":{"%s-alias":{}}}}`, f.base,
			f.base), nil)
	t.Cleanup(func() { _, _ = f.Call(context.WithoutCancel(t.Context()), http.MethodDelete, template, nil, nil) })
	if _, err := f.bind(t, f.Config, map[string]any{"index_name": old, "synonym_filter": "from_file",
		"reindex": true}).Preview(t.Context()); !errors.Is(err, synonyms.ErrNoWay) {
		t.Errorf("error %v, want ErrNoWay", err)
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params map[string]any
		path   string
	}{
		"no index":  {map[string]any{"synonym_filter": "s"}, "index_name"},
		"all":       {map[string]any{"index_name": "_all", "synonym_filter": "s"}, "index_name"},
		"no filter": {map[string]any{"index_name": "a"}, "synonym_filter"},
		"slices": {map[string]any{"index_name": "a", "synonym_filter": "s", "reindex": true, "slices": -1},
			"slices"},
		"slices of nothing": {map[string]any{"index_name": "a", "synonym_filter": "s", "slices": 2}, "slices"},
		"throttle": {map[string]any{"index_name": "a", "synonym_filter": "s", "reindex": true,
			"requests_per_second": -1}, "requests_per_second"},
		"throttled nothing": {map[string]any{"index_name": "a", "synonym_filter": "s", "requests_per_second": 5},
			"requests_per_second"},
		"kept nothing": {map[string]any{"index_name": "a", "synonym_filter": "s", "keep_old_index": false},
			"keep_old_index"},
		"an empty probe": {map[string]any{"index_name": "a", "synonym_filter": "s", "probe_texts": []string{" "}},
			"probe_texts[0]"},
		"too many probes": {map[string]any{"index_name": "a", "synonym_filter": "s",
			"probe_texts": make([]string, 21)}, "probe_texts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *problem.Problem
			if err := synonyms.Describe().Check(encode(t, c.params)); !errors.As(err, &p) ||
				problem.Where(p.Path) != c.path {
				t.Errorf("error %v, want a problem at %s", err, c.path)
			}
		})
	}
}

// disks makes a cluster report this much free disk space.
type disks struct {
	*elastic.Cluster
	free int64
	err  error
}

func (d disks) FreeBytes(context.Context) (int64, error) { return d.free, d.err }

func TestPlanChecksTheSpaceForACopy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "v1", "from_file", false)
	cluster := elastic.New(f.Config, clock.System{})
	for name, c := range map[string]struct {
		disks disks
		fails bool
		note  string
	}{
		"enough":        {disks{free: 1 << 30}, false, ""},
		"scarce":        {disks{free: 1 << 14}, false, "Disk space is scarce"},
		"too little":    {disks{free: 100}, true, ""},
		"can't be read": {disks{err: elastic.ErrForbidden}, false, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.disks.Cluster = cluster
			action, err := synonyms.New(c.disks, reindex.New(cluster, clock.System{}), clock.System{}).Bind(
				encode(t, map[string]any{"index_name": index, "synonym_filter": "from_file", "reindex": true}))
			if err != nil {
				t.Fatal(err)
			}
			p, err := action.Preview(t.Context())
			if errors.Is(err, synonyms.ErrNoWay) != c.fails || (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if c.fails {
				if found := problem.Of(err, ""); !strings.Contains(found.What, "not enough disk") ||
					found.Path[0] != "reindex" {
					t.Errorf("error %v at %v", err, found.Path)
				}
			} else if !strings.Contains(strings.Join(p.Warnings, "\n"), c.note) {
				t.Errorf("the notes lack %q: %q", c.note, p.Warnings)
			}
		})
	}
}
