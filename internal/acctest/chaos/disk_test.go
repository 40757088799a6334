package chaos_test

import (
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

// TestAccDiskFull fills the disk at every point that is followed by a write to the journal, and before all of them. If
// the intent can't be written, nothing is sent. If an outcome couldn't be written, the next apply finds it and sends
// nothing again.
func TestAccDiskFull(t *testing.T) {
	t.Parallel()
	provider, err := killer()
	if err != nil {
		t.Fatal(err)
	}
	w := canary(overHTTP(t), "http", 0)
	c := newChain(t, w, provider, newTally(), 0)
	for _, p := range []engine.Point{"start", engine.PointIntent, engine.PointDispatched, engine.PointRemoteID,
		engine.PointWaited} {
		c.run++
		inputs := w.begin(t, c.round)
		c.write(inputs)
		before := len(w.ledger.received())
		s := shot{victim: "disk", point: p, nth: 1}
		c.shots = []string{s.String()}
		if out, ok, hit := c.apply(&s); ok || !hit {
			t.Errorf("%s: the apply succeeded %t, the disk was full %t:\n%s", c, ok, hit, out)
		}
		after := len(w.ledger.received())
		if sent := after - before; sent > 0 != (p == engine.PointRemoteID || p == engine.PointWaited) {
			t.Errorf("%s: %d changes arrived", c, sent)
		}
		c.converge(inputs)
		c.check()
		if again := len(w.ledger.received()) - before; again != 1 {
			t.Errorf("%s: %d changes arrived in all", c, again)
		}
		c.round++
	}
}

// TestAccReadOnlyJournal makes the journal's folder read-only between two applies.
func TestAccReadOnlyJournal(t *testing.T) {
	t.Parallel()
	provider, err := killer()
	if err != nil {
		t.Fatal(err)
	}
	w := canary(overHTTP(t), "http", 0)
	c := newChain(t, w, provider, newTally(), 0)
	inputs := w.begin(t, c.round)
	c.write(inputs)
	c.converge(inputs)
	c.check()
	before := len(w.ledger.received())
	c.ws.Protect(filepath.Join(c.ws.Dir, ".remediation"))
	c.round++
	c.run++
	c.write(w.begin(t, c.round))
	if out, ok, _ := c.apply(nil); ok {
		t.Errorf("an apply without a journal succeeded:\n%s", out)
	}
	if n := len(w.ledger.received()) - before; n != 0 {
		t.Errorf("%d changes arrived", n)
	}
}
