package chaos_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// kept is the resource in the state.
type kept struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	History []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	} `json:"history"`
}

func (c *chain) state() kept {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.ws.Dir, "terraform.tfstate"))
	if err != nil {
		c.t.Fatalf("%s: %v", c, err)
	}
	var file struct {
		Resources []struct {
			Instances []struct {
				Status     string `json:"status"`
				Attributes kept   `json:"attributes"`
			} `json:"instances"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Resources) != 1 ||
		len(file.Resources[0].Instances) != 1 {
		c.t.Fatalf("%s: state %v %s", c, err, text)
	}
	if i := file.Resources[0].Instances[0]; i.Status != "" {
		c.t.Errorf("%s: the state has it as %s", c, i.Status)
	}
	return file.Resources[0].Instances[0].Attributes
}

// check verifies a finished round: at most one effect per execution, no record lost or duplicated, the target as
// configured, and nothing left to do.
func (c *chain) check() {
	c.t.Helper()
	store, err := c.journal()
	if err != nil {
		c.t.Fatalf("%s: %v", c, err)
	}
	journaltest.Verify(c.t, store)
	records, err := store.Find(c.t.Context(), journal.Filter{})
	if err != nil {
		c.t.Fatalf("%s: %v", c, err)
	}
	id, err := journal.Identity(c.t.Context(), store)
	if err != nil {
		c.t.Fatalf("%s: %v", c, err)
	}
	for i := range records {
		records[i].Journal = id
	}
	c.checkRecords(records)
	c.checkEffects(records)
	c.checkState(records)
	if wrong := c.w.amiss(c.t, c.round); wrong != "" {
		c.t.Errorf("%s: the target is not as asked: %s", c, wrong)
	}
	if out, code := c.ws.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		c.t.Errorf("%s: the second plan is not empty (exit code %d):\n%s", c, code, out)
	}
	c.tally.leave(c.providers(true))
	c.tally.executed(c.w, len(records))
}

// checkRecords finds executions that were seen but are missing in the journal, executions without an outcome, and
// triggers that succeeded more than once.
func (c *chain) checkRecords(records []journal.Record) {
	c.t.Helper()
	known := map[int64]bool{}
	succeeded := map[string][]int64{}
	for _, rec := range records {
		known[rec.ID] = true
		if rec.Open() {
			c.t.Errorf("%s: execution %d is still %s", c, rec.ID, rec.Status)
		}
		if run := rec.Intent.Triggers["run"]; rec.Status == journal.StatusSuccess {
			succeeded[run] = append(succeeded[run], rec.ID)
		}
	}
	for run, ids := range succeeded {
		if len(ids) > 1 && !c.w.reads {
			c.tally.violation("doubled")
			c.t.Errorf("%s: executions %v all ran to success for triggers %s", c, ids, run)
		}
	}
	for id := range c.seen {
		if !known[id] {
			c.tally.violation("lost")
			c.t.Errorf("%s: execution %d was seen and is not in the journal", c, id)
		}
	}
}

// checkEffects finds changes that arrived twice for an execution, or without an execution.
func (c *chain) checkEffects(records []journal.Record) {
	c.t.Helper()
	byID := map[int64]journal.Record{}
	for _, rec := range records {
		byID[rec.ID] = rec
	}
	touched := map[int64]bool{}
	arrived, made := c.w.ledger.all()
	for e, times := range arrived {
		rec, ok := byID[e.Execution]
		touched[e.Execution] = true
		switch {
		case times > 1:
			c.tally.violation("second")
			c.t.Errorf("%s: the target received %d times of execution %d: %s", c, times, e.Execution, e.What)
		case !ok:
			c.tally.violation("second")
			c.t.Errorf("%s: the target received %q while the journal had execution %d open", c, e.What, e.Execution)
		case made[e] > 0 && rec.Result != nil && strings.Contains(rec.Result.Message, "never began"):
			c.tally.violation("second")
			c.t.Errorf("%s: the target received %q of execution %d, which never began by its record", c, e.What,
				e.Execution)
		}
	}
	for id, rec := range byID {
		if c.w.always && rec.Status == journal.StatusSuccess && !touched[id] {
			c.t.Errorf("%s: execution %d succeeded by its record, and the target received nothing", c, id)
		}
	}
}

// checkState compares the state with the journal.
func (c *chain) checkState(records []journal.Record) {
	c.t.Helper()
	const limit = 10 // the provider's default
	s := c.state()
	if s.Status != string(journal.StatusSuccess) {
		c.t.Errorf("%s: the state says %q", c, s.Status)
	}
	want, got := []string{}, []string{}
	for _, rec := range records[max(0, len(records)-limit):] {
		want = append(want, rec.Ref()+" "+string(rec.Status))
	}
	for _, e := range s.History {
		got = append(got, e.ID+" "+e.Status)
	}
	// A reading that ends in a process that outlived its Terraform may end after the next one.
	if a, b := strings.Join(want, ", "), strings.Join(got, ", "); a != b && !c.w.reads {
		c.tally.violation("history")
		c.t.Errorf("%s: the history in state is\n%s\nand in the journal\n%s", c, b, a)
	}
	if last := records[len(records)-1].ID; !strings.HasSuffix(s.ID, fmt.Sprintf("-%d", last)) {
		c.t.Errorf("%s: the state is of execution %s, the last one is %d", c, s.ID, last)
	}
}
