package provider_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAccSameRequestWithOtherTriggers plans resources that differ only in their triggers. Their dry runs have one
// history: each is recorded, however many are planned at once, and each is applied as its own dry run showed.
func TestAccSameRequestWithOtherTriggers(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	configure := func(count int) {
		w.configure(fmt.Sprintf("count = %d\ngradual = false\ntriggers = { number = count.index }", count), "")
	}
	configure(40)
	if out := w.Must("plan", "-no-color", "-parallelism=40"); strings.Contains(out, "could not be recorded") {
		t.Errorf("a dry run is not recorded:\n%s", out)
	}
	// The split is as configured, so that no execution moves the target of the others.
	w.Write("planner.json", strings.NewReplacer("90", "95", "10", "5").Replace(splitFile))
	configure(3)
	w.Must("plan", "-no-color", "-out=saved")
	w.Must("apply", "-no-color", "saved")
	configure(6)
	w.Must("apply", "-no-color", "-auto-approve")
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("exit code %d, want a plan with nothing to do:\n%s", code, out)
	}
}
