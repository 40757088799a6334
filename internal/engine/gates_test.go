package engine_test

import (
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// TestVerdictIsNotThatOfAnotherGate lets a process die after a gate has its verdict. Only the same gate takes it over.
func TestVerdictIsNotThatOfAnotherGate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		was, is string
		runs    bool
	}{
		"the same place":  {was: "first", is: "first"},
		"another place":   {was: "first", is: "second", runs: true},
		"a later place":   {was: "", is: "first", runs: true},
		"no place at all": {was: "", is: "", runs: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fake.gate, b.fake.readOnly = true, true
			digests := map[string]string{"first": b.plan(t, request("first")).Digest,
				"second": b.plan(t, request("second")).Digest}
			at := func(place string) engine.Request {
				if place == "" {
					return request("gate")
				}
				return after("gate", digests[place])
			}
			rec := b.done(t, at(tt.was), dead(), journal.StatusSuccess)
			review := b.plan(t, at(tt.is))
			x, err := b.apply(t, at(tt.is))
			if err != nil || review.Finished == tt.runs || (x.Record.ID == rec.ID) == tt.runs {
				t.Errorf("finished %t, execution %d after %d, %v", review.Finished, x.Record.ID, rec.ID, err)
			}
			if one, other := b.plan(t, at("first")), b.plan(t, at("second")); one.Digest == other.Digest ||
				one.Request == other.Request {
				t.Errorf("two places have the digests %s and %s, and the requests %s and %s", one.Digest, other.Digest,
					one.Request, other.Request)
			}
		})
	}
}

// TestStepAfterAGateIsPreviewedOnWhatComesBeforeIt names only the step in the middle.
func TestStepAfterAGateIsPreviewedOnWhatComesBeforeIt(t *testing.T) {
	t.Parallel()
	b, fake := counter(t)
	first := b.plan(t, request("a"))
	fake.readOnly = true
	gate := b.plan(t, after("gate", first.Digest))
	fake.readOnly = false
	last := b.plan(t, after("b", gate.Digest))
	if from := last.Facts.(map[string]any)["count"]; from != 1 { //nolint:forcetypeassert // the test's own facts
		t.Errorf("previewed on %v, want 1:\n%s", from, last.Text())
	}
}

// TestStepsWithoutAnOrderAreReportedOncePerTarget plans several steps on two targets.
func TestStepsWithoutAnOrderAreReportedOncePerTarget(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reported := map[string]int{}
	for _, target := range []string{"one", "other"} {
		b.fake.target = target
		for _, name := range []string{"a", "b", "c"} {
			for _, w := range b.plan(t, request(name)).Warnings {
				if strings.Contains(w, "neither names the other in after") {
					reported[target]++
				}
			}
		}
	}
	if reported["one"] != 1 || reported["other"] != 1 {
		t.Errorf("reported %v times, want once per target", reported)
	}
}

// TestGateOfADeadProcessIsClosedByAnyGate leaves a gate open whose inputs nobody requests again.
func TestGateOfADeadProcessIsClosedByAnyGate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.gate, b.fake.readOnly, b.fake.adopt = true, true, playbook.ErrNeverBegan
	gone, alive := b.leave(t, request("10m"), dead(), true), b.leave(t, request("20m"), other(), true)
	if x, err := b.apply(t, request("15m")); err != nil || x.Adopted {
		t.Fatalf("%+v, %v", x, err)
	}
	for rec, want := range map[int64]journal.Status{gone.ID: journal.StatusCancelled, alive.ID: journal.StatusRunning} {
		if now, err := b.store.Get(t.Context(), rec); err != nil || now.Status != want {
			t.Errorf("execution %d is %s, want %s, %v", rec, now.Status, want, err)
		}
	}
}
