package journal

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

const (
	// mostGaps bounds one compaction. Each gap takes about 200 bytes of the body, which is limited to MaxBody. The next
	// compaction removes the rest.
	mostGaps = 4_000
	// mostRead bounds how many entries one compaction looks at.
	mostRead = 200_000
)

// Gap is a run of entries that a compaction removed. Its hashes connect the entries before and after it.
type Gap struct {
	// From and To are the first and the last removed sequence number.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Prev is the hash of the entry before the gap. Hash is the hash of the last removed entry.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Compaction is the body of an entry that lists what was removed from the journal.
type Compaction struct {
	// Before is the bound: only executions and dry runs that ended before it were removed.
	Before time.Time `json:"before"`
	// Executions and DryRuns count what was removed.
	Executions int           `json:"executions"`
	DryRuns    int           `json:"dry_runs"`
	Gaps       []Gap         `json:"gaps"`
	By         proc.Identity `json:"by"`
}

// Empty reports whether there is nothing to remove.
func (c Compaction) Empty() bool { return len(c.Gaps) == 0 }

// errEnough ends the iteration over the entries.
var errEnough = errors.New("enough")

// Removable finds the executions and dry runs that ended before a time and can be removed. It keeps everything that
// later decisions depend on: executions that are open or whose outcome is unknown, because they prevent a request from
// running twice; every record that an approval was requested for or given to, because each signature is valid once and
// its age counts from its first use; and the last execution on each target, because the approval policy compares the
// next execution with it.
func Removable(ctx context.Context, s Store, before time.Time) (Compaction, error) {
	w := collector{mostGaps: mostGaps, seen: map[int64]*candidate{}, newest: map[string]int64{}}
	err := s.Entries(ctx, 1, func(e Entry) error {
		if !e.At.Before(before) || len(w.entries) == mostRead {
			return errEnough
		}
		return w.add(e)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Compaction{}, err
	}
	return w.compaction(before), nil
}

// candidate is an execution or a dry run that may be removed.
type candidate struct {
	target        string
	dryRun        bool
	ended, needed bool
}

// link is the position of an entry in the chain.
type link struct {
	seq, execution int64
	prev, hash     string
}

// collector gathers removable records.
type collector struct {
	mostGaps int
	entries  []link
	seen     map[int64]*candidate
	// newest is the last execution per target.
	newest map[string]int64
}

func (w *collector) add(e Entry) error {
	w.entries = append(w.entries, link{e.Seq, e.Execution, e.Prev, e.Hash})
	switch e.Kind {
	case KindAdoption:
		w.seen[e.Execution] = &candidate{target: e.Subject.Target, ended: true, needed: true}
	case KindIntent, KindDryRun, KindSkip:
		var intent Intent
		var preview struct {
			Reasons []string `json:"approval_reasons"`
		}
		err := json.Unmarshal(e.Body, &intent)
		if err == nil && intent.Preview != nil {
			err = json.Unmarshal(intent.Preview, &preview)
		}
		asked := err != nil || len(preview.Reasons) > 0 || intent.ApprovedBy != "" || intent.Approvals != nil
		w.seen[e.Execution] = &candidate{target: e.Subject.Target, dryRun: e.Kind != KindIntent,
			ended: e.Kind != KindIntent, needed: asked}
		if e.Kind == KindIntent {
			w.newest[e.Subject.Target] = e.Execution
		}
	case KindOutcome:
		if c := w.seen[e.Execution]; c != nil {
			var outcome Outcome
			err := json.Unmarshal(e.Body, &outcome)
			c.ended = true
			c.needed = c.needed || err != nil || outcome.Status == StatusUnknown
		}
	}
	return nil
}

func (w *collector) removable(execution int64) bool {
	if execution == 1 {
		return false // the first entry is the journal's identity
	}
	c := w.seen[execution]
	if c == nil {
		return execution != 0 // an entry that was added after the rest of its execution had been removed
	}
	return c.ended && !c.needed && (c.dryRun || w.newest[c.target] != execution)
}

// compaction computes the gaps. An execution is removed completely or not at all. If there are too many gaps,
// executions that extend beyond the last gap that fits are kept.
func (w *collector) compaction(before time.Time) Compaction {
	for {
		c, over := w.gaps()
		if over < 0 {
			c.Before = before
			return c
		}
		for _, e := range w.entries[over:] {
			if found := w.seen[e.execution]; found != nil {
				found.needed = true
			}
		}
		w.entries = w.entries[:over]
	}
}

// gaps returns the removable runs. over is the position of the first entry that exceeds the limit of gaps, or -1.
func (w *collector) gaps() (c Compaction, over int) {
	for i, e := range w.entries {
		if !w.removable(e.execution) {
			continue
		}
		last := len(c.Gaps) - 1
		switch {
		case last >= 0 && c.Gaps[last].To == e.seq-1:
			c.Gaps[last].To, c.Gaps[last].Hash = e.seq, e.hash
		case len(c.Gaps) == w.mostGaps:
			return c, i
		default:
			c.Gaps = append(c.Gaps, Gap{From: e.seq, To: e.seq, Prev: e.prev, Hash: e.hash})
		}
		switch {
		case e.seq != e.execution: // counted with its first entry
		case w.seen[e.execution].dryRun:
			c.DryRuns++
		default:
			c.Executions++
		}
	}
	return c, -1
}
