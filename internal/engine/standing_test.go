package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// TestFailureSaysWhereItLeftTheTarget expects it once in the error, in the journal, and in the notice, unless the
// outcome is unknown.
func TestFailureSaysWhereItLeftTheTarget(t *testing.T) {
	t.Parallel()
	const where = "v2 has 8% of the traffic, step 2 of 3, and stays there"
	for name, c := range map[string]struct {
		cause error
		times int
	}{
		"a problem":         {&problem.Problem{What: "The API fails", Why: "Status 502.", Next: "Look."}, 1},
		"without a period":  {&problem.Problem{What: "The API fails", Why: "Status 502"}, 1},
		"without a reason":  {&problem.Problem{What: "The API fails"}, 1},
		"another error":     {errBoom, 1},
		"it says so":        {&problem.Problem{What: "It stopped", Why: where + "."}, 1},
		"a guardrail":       {&guard.Verdict{Call: guard.Hold, Reading: guard.Reading{State: guard.Breached}}, 1},
		"unknown":           {playbook.ErrUncertain, 0},
		"a period and more": {&problem.Problem{What: "The API fails", Why: "Status 502: <html>..."}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &told{}
			b := newBench(t, telling(n))
			b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
				return playbook.Report{Message: where}, c.cause
			}
			x, err := b.Apply(t.Context(), request("a"), nil, func(engine.Execution) {})
			texts := map[string]string{"error": problem.Of(err, "").Error(), "journal": x.Record.Result.Message,
				"notice": n.all[len(n.all)-1].Message}
			for of, text := range texts {
				if strings.Count(text, where) != c.times || c.times == 1 && !strings.Contains(text, where+".") ||
					strings.Contains(strings.ReplaceAll(text, "...", ""), "..") {
					t.Errorf("%s: %q", of, text)
				}
			}
		})
	}
}

// TestTimeoutThatIsShorterThanTheWork warns at plan of an execution that can't succeed in time.
func TestTimeoutThatIsShorterThanTheWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout, waits, after time.Duration
		want                  string
	}{
		"long enough":   {10 * time.Minute, 9 * time.Minute, 0, ""},
		"not set":       {0, 20 * time.Minute, 0, ""},
		"too short":     {9 * time.Minute, 10 * time.Minute, 0, "timeouts stops it after 9m, and it waits for 10m"},
		"of guardrails": {9 * time.Minute, 0, 10 * time.Minute, "timeouts stops it after 9m, and it waits for 10m"},
		"together":      {9 * time.Minute, 5 * time.Minute, 5 * time.Minute, "it waits for 10m"},
	} {
		b := newBench(t, func(c *engine.Config) { c.Metrics = &metrics{values: []any{1.0}} })
		b.fake.waits = c.waits
		req := request("a")
		req.Timeout = c.timeout
		if c.after > 0 {
			req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "q"}, Max: ptr(5),
				OnBreach: guard.Fail, Wait: c.after.String()}}
		}
		all := strings.Join(b.plan(t, req).Warnings, "\n")
		if !strings.Contains(all, c.want) || c.want == "" && strings.Contains(all, "timeouts") {
			t.Errorf("%s: %q", name, all)
		}
	}
}
