package journal

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

const (
	// mostGaps bounds one compaction: each gap takes some 200 bytes of its body, of which MaxBody is the limit. What is
	// left over is for the next one.
	mostGaps = 4_000
	// mostRead bounds how many entries one compaction looks at.
	mostRead = 200_000
)

// Gap is a run of entries that a compaction removed. What is before and after it is chained by its hashes.
type Gap struct {
	// From and To are the first and the last of its sequence numbers.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Prev is the hash of the entry before it, Hash that of its last entry.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Compaction is the body of an entry that says what was removed from the journal.
type Compaction struct {
	// Before bounds what was removed: it had ended by then.
	Before time.Time `json:"before"`
	// Executions and DryRuns is how many there were.
	Executions int           `json:"executions"`
	DryRuns    int           `json:"dry_runs"`
	Gaps       []Gap         `json:"gaps"`
	By         proc.Identity `json:"by"`
}

// Empty tells whether there is nothing to remove.
func (c Compaction) Empty() bool { return len(c.Gaps) == 0 }

// errEnough ends a walk.
var errEnough = errors.New("enough")

// Removable looks for what had ended before a time and can go. It stays what something may still rest on: executions
// that are open or whose outcome is unknown, since they keep a request from running twice; whatever an approval was
// asked for or given to, since signatures are used once and age from when they were first shown; and the last execution
// of each target, which the approval policy of the next one is compared with.
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

// candidate is an execution or a dry run that may go.
type candidate struct {
	target        string
	dryRun        bool
	ended, needed bool
}

// link is an entry's place in the chain.
type link struct {
	seq, execution int64
	prev, hash     string
}

// collector gathers what is old.
type collector struct {
	mostGaps int
	entries  []link
	seen     map[int64]*candidate
	// newest is the last execution of each target.
	newest map[string]int64
}

func (w *collector) add(e Entry) error {
	w.entries = append(w.entries, link{e.Seq, e.Execution, e.Prev, e.Hash})
	switch e.Kind {
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
		return execution != 0 // an entry that came after the rest of its execution had been removed
	}
	return c.ended && !c.needed && (c.dryRun || w.newest[c.target] != execution)
}

// compaction makes the gaps. An execution goes whole or not at all: where there are too many gaps, none goes that
// reaches beyond the last one that fits.
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

// gaps returns what is removable; over is the place of the first entry for which there is no gap left, or -1.
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
