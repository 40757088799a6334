package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// chainPlaybook is a playbook whose previews can be projected: the target counts its executions.
type chainPlaybook struct {
	*fakePlaybook
	count int
	// keeps and blind are those of the preview.
	keeps, blind bool
}

type chainAction struct {
	action
	fake *chainPlaybook
}

func (b *chainPlaybook) Bind(raw json.RawMessage) (playbook.Action, error) {
	bound, err := b.fakePlaybook.Bind(raw)
	if err != nil {
		return nil, err
	}
	a, _ := bound.(action)
	return chainAction{a, b}, nil
}

func (a chainAction) from(count int) playbook.Preview {
	p := playbook.Preview{Summary: "Will count", Commands: []string{"count"}, Risk: playbook.RiskLow,
		Facts: map[string]any{"count": count}, Undo: "none", Keeps: a.fake.keeps}
	if !a.fake.blind {
		p.Projection = count + 1
	}
	return p
}

func (a chainAction) Target(context.Context) (string, error) { return "fake:counter", nil }

func (a chainAction) Preview(context.Context) (playbook.Preview, error) {
	return a.from(a.fake.count), nil
}

func (a chainAction) PreviewAfter(_ context.Context, projection json.RawMessage) (playbook.Preview, error) {
	var count int
	err := json.Unmarshal(projection, &count)
	return a.from(count), err
}

func (a chainAction) Dispatch(_ context.Context, job playbook.Job) (playbook.Work, error) {
	a.fake.count++
	return work{a.action, job}, nil
}

func counter(t *testing.T) (*bench, *chainPlaybook) {
	t.Helper()
	b := newBench(t)
	fake := &chainPlaybook{fakePlaybook: b.fake}
	b.cfg.Catalogue = playbook.NewCatalogue(fake)
	b.Engine = engine.New(b.cfg)
	return b, fake
}

func after(name string, digests ...string) engine.Request {
	req := request(name)
	req.After = digests
	return req
}

// process is another process on the same journal, which has planned nothing.
func (b *bench) process() { b.Engine = engine.New(b.cfg) }

func TestChainIsPreviewedOnWhatItsStepsLeave(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"in this process", "in the journal"} {
		b, fake := counter(t)
		first := b.plan(t, request("a"))
		if where == "in the journal" {
			b.process()
		}
		second := b.plan(t, after("b", first.Digest))
		third := b.plan(t, after("c", first.Digest, second.Digest))
		if facts, _ := json.Marshal(third.Facts); string(facts) != `{"count":2}` ||
			!strings.Contains(third.Text(), "Starts from what fake will leave") {
			t.Errorf("%s: previewed on %s:\n%s", where, facts, third.Text())
		}
		for _, step := range []struct {
			req    engine.Request
			review engine.Review
		}{{request("a"), first}, {after("b", first.Digest), second},
			{after("c", first.Digest, second.Digest), third}} {
			if _, err := b.Apply(t.Context(), step.req, shownBy(step.review), func(engine.Execution) {}); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		}
		// Steps that have run count as done.
		if again := b.plan(t, after("d", first.Digest, third.Digest)); strings.Contains(again.Text(), "Starts from") ||
			fake.count != 3 {
			t.Errorf("%s: after %d executions:\n%s", where, fake.count, again.Text())
		}
	}
}

// TestRunOfTerraformKeepsItsRecord plans a step again once the earlier one has run, as `terraform test` does during an
// apply. Only that run shows the old record.
func TestRunOfTerraformKeepsItsRecord(t *testing.T) {
	t.Parallel()
	b, _ := counter(t)
	b.cfg.Terraform.Session = "one"
	b.process()
	first := b.plan(t, request("a"))
	second := b.plan(t, after("b", first.Digest))
	if _, err := b.Apply(t.Context(), request("a"), shownBy(first), func(engine.Execution) {}); err != nil {
		t.Fatal(err)
	}
	again := b.plan(t, after("b", first.Digest))
	if again.Record != second.Record || again.Text() != second.Text() {
		t.Errorf("record %d became %d:\n%s", second.Record, again.Record, again.Text())
	}
	b.cfg.Terraform.Session = "other"
	b.process()
	if now := b.plan(t, after("b", first.Digest)); now.Record == second.Record ||
		strings.Contains(now.Text(), "Starts from") {
		t.Errorf("another run shows record %d:\n%s", now.Record, now.Text())
	}
}

func TestOthersMoveInAChainIsRefused(t *testing.T) {
	t.Parallel()
	b, fake := counter(t)
	first := b.plan(t, request("a"))
	second := b.plan(t, after("b", first.Digest))
	if _, err := b.Apply(t.Context(), request("a"), shownBy(first), func(engine.Execution) {}); err != nil {
		t.Fatal(err)
	}
	fake.count = 7
	_, err := b.Apply(t.Context(), after("b", first.Digest), shownBy(second), func(engine.Execution) {})
	if !errors.Is(err, engine.ErrTargetChanged) || !strings.Contains(err.Error(), "count: was 1, now 7") {
		t.Errorf("got %v", err)
	}
}

func TestStepsThatCantBeProjected(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second func(*engine.Request)
		blind, keeps  bool
		// says is in the warning; empty: it is previewed. count is what it is previewed on.
		says, count string
	}{
		"projected":       {nil, nil, false, false, "", `{"count":1}`},
		"no projection":   {nil, nil, true, false, "can't be predicted before it has run", ""},
		"changes nothing": {nil, nil, true, true, "", `{"count":0}`},
		"may be skipped": {func(r *engine.Request) { r.RunIf = engine.RunMaybe }, nil, false, false,
			"which may be skipped", ""},
		"both may be skipped": {func(r *engine.Request) { r.RunIf = engine.RunMaybe },
			func(r *engine.Request) { r.RunIf = engine.RunMaybe }, false, false, "", `{"count":1}`},
		"unknown step": {nil, func(r *engine.Request) { r.After, r.AfterUnknown = nil, true }, false, false,
			"whose preview is not known yet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, fake := counter(t)
			fake.blind, fake.keeps = tt.blind, tt.keeps
			first := request("a")
			if tt.first != nil {
				tt.first(&first)
			}
			second := after("b", b.plan(t, first).Digest)
			if tt.second != nil {
				tt.second(&second)
			}
			review, err := b.Plan(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(review.Warnings, "\n")
			if review.Unseen != (tt.says != "") || !strings.Contains(said, tt.says) {
				t.Errorf("unseen %t, warnings %q", review.Unseen, said)
			}
			if facts, _ := json.Marshal(review.Facts); tt.count != "" && string(facts) != tt.count {
				t.Errorf("previewed on %s, want %s", facts, tt.count)
			}
			if again := review.Text(); second.RunIf == engine.RunMaybe && !strings.Contains(again,
				"may run: only if run_if is true") {
				t.Errorf("the text lacks the condition:\n%s", again)
			}
		})
	}
}

func TestSkippedStepRefusesTheNextByName(t *testing.T) {
	t.Parallel()
	b, _ := counter(t)
	first, second := request("a"), request("b")
	first.RunIf, second.RunIf = engine.RunMaybe, engine.RunMaybe
	one := b.plan(t, first)
	second.After = []string{one.Digest}
	two := b.plan(t, second)
	if err := b.Skip(t.Context(), first, one.Digest); err != nil {
		t.Fatal(err)
	}
	for _, forget := range []bool{false, true} {
		if forget {
			b.process()
		}
		_, err := b.Apply(t.Context(), second, shownBy(two), func(engine.Execution) {})
		if !errors.Is(err, engine.ErrTargetChanged) ||
			!strings.Contains(err.Error(), "they were skipped: fake on fake:") {
			t.Errorf("got %v", err)
		}
		// The next plan looks at the live target.
		if again := b.plan(t, second); strings.Contains(again.Text(), "Starts from") {
			t.Errorf("planned again:\n%s", again.Text())
		}
	}
}

func TestUnknownDigest(t *testing.T) {
	t.Parallel()
	b, _ := counter(t)
	stranger := after("a", "sha256:"+strings.Repeat("a", 64))
	if _, err := b.Plan(t.Context(), stranger); err == nil || !strings.Contains(err.Error(), "unknown step") {
		t.Errorf("a create: %v", err)
	}
	stranger.Known = 5 // it has run before
	if review, err := b.Plan(t.Context(), stranger); err != nil || !strings.Contains(strings.Join(review.Warnings, ""),
		"neither this run nor the journal knows") {
		t.Errorf("an update: %q, %v", review.Warnings, err)
	}
}

func TestTwoExecutionsWithoutAnOrderAreReportedOnce(t *testing.T) {
	t.Parallel()
	b, _ := counter(t)
	warned := 0
	for _, name := range []string{"a", "b", "c", "a"} {
		review := b.plan(t, request(name))
		if strings.Contains(strings.Join(review.Warnings, ""), "More than one execution") {
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("%d warnings", warned)
	}
}

// TestExecutionsPlannedAtTheSameMomentSeeEachOther covers Terraform, which plans resources concurrently.
func TestExecutionsPlannedAtTheSameMomentSeeEachOther(t *testing.T) {
	t.Parallel()
	const rounds = 100
	for range rounds {
		b, _ := counter(t)
		var warned atomic.Int32
		var plans sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			plans.Go(func() {
				if review, err := b.Plan(t.Context(), request(name)); err != nil {
					t.Error(err)
				} else if strings.Contains(strings.Join(review.Warnings, ""), "More than one execution") {
					warned.Add(1)
				}
			})
		}
		plans.Wait()
		if warned.Load() != 1 {
			t.Fatalf("%d warnings", warned.Load())
		}
	}
}

func TestPlanOfASkippedStepShowsWhatWasShown(t *testing.T) {
	t.Parallel()
	b, fake := counter(t)
	req := request("a")
	if _, shown := b.PlanSkipped(t.Context(), req); shown {
		t.Error("nothing was shown")
	}
	plain := b.plan(t, req)
	if _, shown := b.PlanSkipped(t.Context(), req); shown {
		t.Errorf("it was shown without the condition:\n%s", plain.Text())
	}
	req.RunIf = engine.RunMaybe
	conditional := b.plan(t, req)
	if review, shown := b.PlanSkipped(t.Context(), req); !shown || review.Text() != conditional.Text() ||
		review.Record != conditional.Record || review.Digest != conditional.Digest {
		t.Errorf("shown %t:\n%s", shown, review.Text())
	}
	fake.count = 3
	if _, shown := b.PlanSkipped(t.Context(), req); shown {
		t.Error("another preview was shown")
	}
	fake.count = 0
	if err := b.Skip(t.Context(), req, conditional.Digest); err != nil {
		t.Fatal(err)
	}
	if _, shown := b.PlanSkipped(t.Context(), req); shown {
		t.Error("it was skipped since")
	}
}
