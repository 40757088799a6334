package provider_test

import (
	"strings"
	"testing"
)

// TestAccReplacementCreatedFirstUndoesNothing replaces a resource with create_before_destroy and on_destroy = rollback.
// Terraform plans the destroy of the earlier object only inside the apply, so an undo of it would run unseen.
func TestAccReplacementCreatedFirstUndoesNothing(t *testing.T) {
	t.Parallel()
	for name, apply := range map[string][][]string{
		"a saved plan":  {{"plan", "-no-color", "-replace=" + splitAddress, "-out=saved"}, {"apply", "-no-color", "saved"}},
		"no saved plan": {{"apply", "-no-color", "-auto-approve", "-replace=" + splitAddress}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSplitting(t)
			w.configure("gradual = false\non_destroy = \"rollback\"\nlifecycle { create_before_destroy = true }", "")
			w.Must("apply", "-no-color", "-auto-approve")
			left := w.read(t, "planner.json")
			for _, args := range apply {
				if out := w.Must(args...); strings.Contains(out, "Destroy undoes") {
					t.Errorf("terraform %s:\n%s", strings.Join(args, " "), out)
				}
			}
			if now := w.read(t, "planner.json"); now != left {
				t.Errorf("the replacement has changed the traffic:\n%s\nwas:\n%s", now, left)
			}
			w.empty(t)
		})
	}
}

// TestAccDestroyAfterASkipSaysWhatStays skips a resource after it was executed. A skip has nothing to undo, so the
// change of the execution stays, although on_destroy is rollback.
func TestAccDestroyAfterASkipSaysWhatStays(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	const warning = "Destroy will not undo adjust_canary_split"
	skip := "gradual = false\non_destroy = \"rollback\"\nrun_if = false\n"
	w.configure(skip, "")
	w.Must("apply", "-no-color", "-auto-approve")
	if out := w.Must("plan", "-no-color", "-destroy"); strings.Contains(out, warning) {
		t.Errorf("nothing was executed:\n%s", out)
	}
	w.configure("gradual = false\non_destroy = \"rollback\"\ntriggers = { a = 1 }", "")
	w.Must("apply", "-no-color", "-auto-approve")
	w.configure(skip+"triggers = { a = 2 }", "")
	w.Must("apply", "-no-color", "-auto-approve")
	if out := w.Must("plan", "-no-color", "-destroy"); !strings.Contains(out, warning) {
		t.Errorf("the plan lacks %q:\n%s", warning, out)
	}
}
