package elastic

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// script verifies the journal with the script, which shares no code with this package.
func script(t *testing.T, on *elastictest.Server, index string, known ...journal.Head) (string, int) {
	t.Helper()
	on.Do(t, http.MethodPost, "/"+index+"-entries-*/_refresh?expand_wildcards=all", nil, nil)
	args := []string{"../../../tools/verify_journal.py", on.URL() + "/" + index}
	for _, h := range known {
		args = append(args, fmt.Sprintf("%d:%s", h.Seq, h.Hash))
	}
	out, err := exec.CommandContext(t.Context(), "python3", args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	t.Fatal(err)
	return "", 0
}

// TestAttacks changes a journal without the provider's knowledge. A full read finds the change. A store that continues
// from the changed entry appends nothing to it.
func TestAttacks(t *testing.T) {
	t.Parallel()
	const executions, entries = 3, 12
	on := elastictest.Shared(t)
	for name, c := range map[string]struct {
		method, path, body string
		broken             string
		// refused means that a store that had read the earlier entries refuses to continue.
		refused bool
	}{
		"nothing": {http.MethodGet, "_doc/6", "", "", false},
		"edited": {http.MethodPost, "_update/6?refresh", `{"doc":{"body":"{\"remote_id\":\"other\"}"}}`,
			"entry 6", false},
		"a subject edited": {http.MethodPost, "_update/6?refresh", `{"doc":{"target":"other"}}`, "entry 6", false},
		"removed":          {http.MethodDelete, "_doc/6?refresh", "", "after entry 5 comes entry 7", false},
		"removed as if by us": {http.MethodPut, "_doc/6?refresh", `{"seq":6,"kind":"removed"}`,
			"after entry 5 comes entry 7", false},
		"the newest edited":  {http.MethodPost, "_update/12?refresh", `{"doc":{"body":"{}"}}`, "entry 12", true},
		"the newest removed": {http.MethodDelete, "_doc/12?refresh", "", "entry 12", false},
		"its list edited":    {http.MethodPost, "_update/12?refresh", `{"doc":{"open":[1]}}`, "", true},
		"one added": {http.MethodPut, "_create/13?refresh",
			`{"seq":13,"execution":9,"kind":"progress","at":"2026-01-01T00:00:00.000000000Z","body":"{}","prev":"x","hash":"y","open":[]}`, "entry 13", true},
		"no entry": {http.MethodPut, "_create/13?refresh", `{"seq":14}`, "", true},
		"one added later": {http.MethodPut, "_create/14?refresh", `{"seq":14,"execution":14,"kind":"dry_run"}`, "",
			true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := place(t, on)
			s := openTest(t, at(on.Config, index), usual())
			if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), executions); err != nil {
				t.Fatal(err)
			}
			var head journal.Head
			for _, e := range journaltest.Verify(t, s) {
				head = journal.Head{Seq: e.Seq, Hash: e.Hash}
			}
			var body any
			if c.body != "" {
				body = c.body
			}
			on.Do(t, c.method, "/"+index+"-entries-000000/"+c.path, body, nil)

			again, err := Open(t.Context(), at(on.Config, index))
			if c.refused {
				explained(t, err, journal.ErrDamaged, "verify_journal.py")
			} else if err != nil {
				t.Fatal(err)
			}
			if again != nil && (c.broken != "" || !c.refused) {
				chain, err := journal.Verify(t.Context(), again, head)
				if err != nil || !strings.Contains(chain.Broken, c.broken) || chain.Holds() != (c.broken == "") {
					t.Errorf("got %+v, %v", chain, err)
				}
			}
			if name == "no entry" || name == "one added later" {
				return
			}
			if out, code := script(t, on, index, head); !strings.Contains(out, c.broken) ||
				(code == 0) != (c.broken == "") {
				t.Errorf("the script: exit code %d, %s", code, out)
			}
		})
	}
}

// TestNothingIsWrittenOnTopOfDamage covers a store that had read the journal when it was intact.
func TestNothingIsWrittenOnTopOfDamage(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	for name, body := range map[string]string{
		"an entry that does not " +
			"follow": `{"seq":2,"execution":2,"kind":"dry_run","at":"2026-01-01T00:00:00.000000000Z","body":"{}","prev":"x","hash":"y","open":[]}`,
		"an entry with another hash": `{"seq":2,"execution":2,"kind":"dry_run","at":"2026-01-01T00:00:00.000000000Z","body":"{}","prev":"HEAD","hash":"y","open":[1]}`,
		"an entry after a gap":       "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := place(t, on)
			s := openTest(t, at(on.Config, index), usual())
			if _, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent,
				journaltest.Intent()); err != nil {
				t.Fatal(err)
			}
			number, body := "2", strings.Replace(body, "HEAD", journaltest.Verify(t, s)[0].Hash, 1)
			if body == "" {
				number, body = "3", `{"seq":3,"kind":"dry_run"}`
			}
			on.Do(t, http.MethodPut, "/"+index+"-entries-000000/_create/"+number, body, nil)
			// reads before it refuses
			_, err := s.Append(t.Context(), journal.Lease{Execution: 1, Token: 7}, journal.KindProgress, 1)
			explained(t, err, journal.ErrDamaged, "Nothing was repaired")
			_, err = s.Find(t.Context(), journal.Filter{})
			explained(t, err, journal.ErrDamaged, "entr")
		})
	}
}

// TestMissingRange refuses to continue in the middle of a range that was deleted.
func TestMissingRange(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	s := openTest(t, at(on.Config, index), usual())
	r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	if err != nil {
		t.Fatal(err)
	}
	on.Do(t, http.MethodDelete, "/"+index+"-entries-000000", nil, nil)
	_, err = s.Append(t.Context(), r.Lease(), journal.KindDispatch, journal.Dispatch{})
	explained(t, err, journal.ErrDamaged, "index "+index+"-entries-000000 is gone")
	if status, err := on.Try(t, http.MethodGet, "/"+index+"-entries-000000", nil, nil); status != http.StatusNotFound {
		t.Errorf("it was made again: status %d, %v", status, err)
	}
}

// TestClosedRange checks that a closed range is not taken for an empty one.
func TestClosedRange(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	small := usual()
	small.rangeSize = 4
	s := openTest(t, at(on.Config, index), small)
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), 2); err != nil {
		t.Fatal(err)
	}
	on.Do(t, http.MethodPost, "/"+index+"-entries-000000/_close", nil, nil)
	_, err := s.Find(t.Context(), journal.Filter{})
	explained(t, err, journal.ErrUnavailable, "Open all indices that match")
	_, err = open(t.Context(), at(on.Config, index), small)
	explained(t, err, journal.ErrUnavailable, "Open all indices that match")
}

// TestCompactedAndLeftBehind covers a process that has not read the journal since before entries were removed. It can't
// create a removed entry again, and it continues after them.
func TestCompactedAndLeftBehind(t *testing.T) {
	t.Parallel()
	const executions = 4
	on := elastictest.Shared(t)
	index := place(t, on)
	small := usual()
	small.rangeSize = 4
	behind := openTest(t, at(on.Config, index), small)
	s := openTest(t, at(on.Config, index), small)
	intent := journaltest.Intent()
	intent.ApprovedBy = ""
	for i := range executions {
		if i == 1 { // entry 3 is the next one that behind would write, and the first one that goes
			if _, err := behind.Find(t.Context(), journal.Filter{}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, intent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome,
			journal.Outcome{Status: journal.StatusSuccess}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := journal.Removable(t.Context(), s, clock.System{}.Now().Add(time.Hour))
	if err != nil || c.Executions != executions-2 { // all but the journal's first and the target's last
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := s.Compact(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := behind.Begin(t.Context(), journaltest.Subject(2), journal.KindIntent, intent); err != nil {
		t.Error(err)
	}
	for _, reader := range []*Store{behind, s, openTest(t, at(on.Config, index), small)} {
		chain, err := journal.Verify(t.Context(), reader)
		if err != nil || !chain.Holds() || chain.Removed != 4 || chain.Head.Seq != 10 {
			t.Errorf("got %+v, %v", chain, err)
		}
	}
	if out, code := script(t, on, index); code != 0 || !strings.Contains(out, "4 entries were removed") {
		t.Errorf("the script: exit code %d, %s", code, out)
	}
}

// TestInterruptedCompaction stops between the compaction entry and the removal.
func TestInterruptedCompaction(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	cut := false
	b := &broken{fault: never, when: func(_ int64, req *http.Request) bool {
		cut = cut || strings.HasSuffix(req.URL.Path, "/_bulk")
		return cut
	}}
	cfg := breaking(on, index, b)
	cfg.Clock = &impatient{}
	s := openTest(t, cfg, usual())
	intent := journaltest.Intent()
	intent.ApprovedBy = ""
	for range 4 { // the first one is the journal's identity and stays
		if _, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, intent); err != nil {
			t.Fatal(err)
		}
	}
	c, err := journal.Removable(t.Context(), s, clock.System{}.Now().Add(time.Hour))
	if err != nil || c.DryRuns != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
	_, err = s.Compact(t.Context(), c)
	explained(t, err, journal.ErrUnavailable, "reset")
	again := openTest(t, at(on.Config, index), usual())
	if chain, err := journal.Verify(t.Context(), again); err != nil || !chain.Holds() || chain.Removed != 3 {
		t.Errorf("got %+v, %v", chain, err)
	}
	if more, err := journal.Removable(t.Context(), again, clock.System{}.Now().Add(time.Hour)); err != nil ||
		!more.Empty() {
		t.Errorf("got %+v, %v", more, err)
	}
	if out, code := script(t, on, index); code != 0 || !strings.Contains(out, "3 entries were removed") {
		t.Errorf("the script: exit code %d, %s", code, out)
	}
}
