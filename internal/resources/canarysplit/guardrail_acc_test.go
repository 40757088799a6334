package canarysplit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
)

// routed is a configuration that shifts traffic of v2 on a router to target percent.
func routed(proxy *haproxytest.Server, target float64, more, prometheus string) string {
	main := proxied(proxy, approved+"\n"+more, fmt.Sprintf("prometheus { url = %q }", prometheus))
	return strings.Replace(main, "target_percent = 25", fmt.Sprintf("target_percent = %g", target), 1)
}

// guardrail is a guardrail named errors. bounds are all its arguments except the name.
func guardrail(bounds string) string {
	return "guardrail {\n    name = \"errors\"\n    " + bounds + "\n  }"
}

// awaitStep waits until the router has other weights than before.
func awaitStep(t *testing.T, proxy *haproxytest.Server, before string) {
	for limit := time.Now().Add(time.Minute); proxy.Configured(t) == before && time.Now().Before(limit); {
		time.Sleep(20 * time.Millisecond)
	}
}

// TestAccMetricsDuringAStep changes metrics of a real Prometheus in the middle of the first step of a shift on a real
// router. A value of one scrape is seen for 6 s. A guardrail that is read every 2 s reads it more than once, and one
// that is read every 4 s once or twice. No step of 16 s ends meanwhile.
func TestAccMetricsDuringAStep(t *testing.T) {
	t.Parallel()
	const scrape = 6 * time.Second
	prom := prometheustest.StartEvery(t, scrape)
	for name, tt := range map[string]struct {
		// bounds are the guardrail's; CANARY and STABLE are metrics of this test.
		bounds string
		// canary and stable are the values before the shift, and change changes them in the first step.
		canary, stable float64
		change         func(canary, stable string)
		// weights are those of srv1 and srv2 afterwards. status and reading are the execution's.
		weights         [2]int
		status, reading string
	}{
		"a breach of one scrape is seen": {"query = \"CANARY\"\n    max = 0.05", 0.01, 0,
			func(canary, _ string) { prom.Once(canary, 0.5) },
			[2]int{90, 10}, "failed", "0.5 is above the maximum of 0.05"},
		"one bad sample is tolerated": {"query = \"CANARY\"\n    max = 0.05\n    failure_limit = 2\n    interval = \"4s\"", 0.01, 0,
			func(canary, _ string) { prom.Once(canary, 0.5) },
			[2]int{140, 60}, "success", "0.5"},
		"no data in one scrape": {"query = \"CANARY > 0\"\n    max = 0.05", 0.01, 0,
			func(canary, _ string) { prom.Once(canary, 0) },
			[2]int{160, 40}, "cancelled", "the query returns no data"},
		"both versions are worse": {"query = \"CANARY\"\n    stable_query = \"STABLE\"\n    max_increase_percent = 50",
			0.01, 0.01, func(canary, stable string) { prom.Set(canary, 0.5); prom.Set(stable, 0.5) },
			[2]int{140, 60}, "success", "baseline 0.5"},
		"the canary alone is worse": {
			"query = \"CANARY\"\n    stable_query = \"STABLE\"\n    max_increase_percent = 50",
			0.01, 0.01, func(canary, _ string) { prom.Set(canary, 0.5) },
			[2]int{90, 10}, "failed", "an increase of 4900%, and 50% is allowed"},
		"a baseline of 0": {"query = \"CANARY\"\n    max_increase_percent = 50", 0, 0,
			func(canary, _ string) { prom.Set(canary, 0.0001) },
			[2]int{160, 40}, "cancelled", "the baseline is 0, so a change in percent can't be computed"},
	} {
		canary := strings.ReplaceAll(name, " ", "_")
		stable := canary + "_stable"
		prom.Set(canary, tt.canary)
		prom.Set(stable, tt.stable)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prom.Show(canary, tt.canary)
			proxy := haproxytest.Start(t)
			before := proxy.Configured(t)
			w := acctest.NewWorkspace(t)
			bounds := strings.NewReplacer("CANARY", canary, "STABLE", stable).Replace(tt.bounds) +
				"\n    on_breach = \"rollback\""
			if !strings.Contains(bounds, "interval") {
				bounds += "\n    interval = \"2s\""
			}
			w.Write("main.tf", routed(proxy, 30, "gradual_duration = \"32s\"\n  steps = 2\n  "+guardrail(bounds),
				prom.URL))
			changed := make(chan struct{})
			go func() {
				defer close(changed)
				awaitStep(t, proxy, before)
				tt.change(canary, stable)
			}()
			out, code := w.Run("apply", "-auto-approve", "-no-color")
			<-changed
			if (code == 0) != (tt.status == "success") || strings.Contains(out, "Inf") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			if want := weights(tt.weights); proxy.Configured(t) != want {
				t.Errorf("weights\n%swant\n%s", proxy.Configured(t), want)
			}
			got := w.Attributes(address)
			result, _ := got["result"].(map[string]any)
			details, _ := result["details"].(map[string]any)
			readings := fmt.Sprint(details["guardrail.errors"], ", ", details["guardrail.errors.values"])
			if got["status"] != tt.status || !strings.Contains(readings, tt.reading) {
				t.Errorf("status %v, want %s; readings %s, want %q\n%s", got["status"], tt.status, readings, tt.reading,
					out)
			}
		})
	}
}

// weights are the configured weights of srv1 and srv2 as the router lists them.
func weights(w [2]int) string {
	return fmt.Sprintf("srv1 admin 0 weight %d\nsrv2 admin 0 weight %d\n", w[0], w[1])
}

// TestAccMetricsBeforeAMove reads guardrails of a real Prometheus before a move on a real router. More traffic is moved
// only if the metric is read and within bounds. Traffic is taken away in each case.
func TestAccMetricsBeforeAMove(t *testing.T) {
	t.Parallel()
	prom := prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	nobody := "http://" + spawn.Address(t)
	const all, contain = 100, 5
	for name, tt := range map[string]struct {
		target     float64
		prometheus string
		bounds     string
		// waits is how the dry run describes the guardrail's wait.
		waits string
		// weights are those of srv1 and srv2 afterwards, says is a substring of the output, and status is that of the
		// execution, empty if nothing ran.
		weights      [2]int
		says, status string
	}{
		"more traffic in breach": {all, prom.URL, "query = \"error_rate\"\n    max = 0.05",
			"", [2]int{90, 10}, `Guardrail "errors" is in breach`, ""},
		"more traffic without data": {all, prom.URL, "query = \"no_such_metric\"\n    max = 0.05",
			"", [2]int{90, 10}, `Guardrail "errors" can't be read`, ""},
		"more traffic without Prometheus": {all, nobody, "query = \"error_rate\"\n    max = 0.05",
			"", [2]int{90, 10}, `Guardrail "errors" can't be read`, ""},
		"less traffic in breach": {contain, prom.URL, "query = \"error_rate\"\n    max = 0.05",
			"", [2]int{190, 10}, "as before the execution", "success"},
		"less traffic without data": {contain, prom.URL, "query = \"no_such_metric\"\n    max = 0.05",
			"", [2]int{190, 10}, "runs nevertheless", "success"},
		"less traffic without Prometheus": {contain, nobody, "query = \"error_rate\"\n    max = 0.05",
			"", [2]int{190, 10}, "runs nevertheless", "success"},
		"less traffic that does not help": {contain, prom.URL, "query = \"error_rate\"\n    max = 0.05\n    wait = \"2s\"",
			" and 2s after the end", [2]int{190, 10}, "0.5 is above the maximum of 0.05", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := haproxytest.Start(t)
			w := acctest.NewWorkspace(t)
			w.Write("main.tf", routed(proxy, tt.target,
				"gradual = false\n  "+guardrail(tt.bounds+"\n    on_breach = \"rollback\""), tt.prometheus))
			shown := "Guardrails errors: max 0.05, read every 10s"
			if tt.target < all {
				shown += tt.waits + "; fail on a breach" // traffic is never given back
			} else {
				shown += "; rollback on a breach"
			}
			plan := strings.Join(strings.Fields(w.Must("plan", "-no-color")), " ")
			if !strings.Contains(plan, shown) {
				t.Errorf("the plan lacks %q:\n%s", shown, plan)
			}
			out, code := w.Run("apply", "-auto-approve", "-no-color")
			got := w.Attributes(address)
			result, _ := got["result"].(map[string]any)
			if text := flat(out) + fmt.Sprint(result["details"]); !strings.Contains(text, tt.says) {
				t.Errorf("the output lacks %q:\n%s", tt.says, text)
			}
			if (code == 0) != (tt.status == "success") || fmt.Sprint(got["status"]) != orNil(tt.status) {
				t.Errorf("exit code %d, status %v:\n%s", code, got["status"], out)
			}
			if want := weights(tt.weights); proxy.Configured(t) != want {
				t.Errorf("weights\n%swant\n%s", proxy.Configured(t), want)
			}
		})
	}
}

// orNil is how a missing status is printed.
func orNil(status string) string {
	if status == "" {
		return "<nil>"
	}
	return status
}

// TestAccUndecodableGuardrailHolds kills an apply that watches the only step of its shift, and replaces its execution
// in the journal with one whose guardrails can't be decoded. The next apply adopts it and does not call it a success.
func TestAccUndecodableGuardrailHolds(t *testing.T) {
	t.Parallel()
	proxy, prom := haproxytest.Start(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.01)
	w := acctest.NewWorkspace(t)
	w.Write("main.tf", routed(proxy, 30, "gradual_duration = \"30s\"\n  steps = 1\n  "+
		guardrail("query = \"error_rate\"\n    max = 0.05"), prom.URL))
	before := proxy.Configured(t)
	cmd := w.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitStep(t, proxy, before)
	step := proxy.Configured(t)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the provider dies with Terraform
	_ = cmd.Wait()
	breakGuardrails(t, filepath.Join(w.Dir, ".remediation", "journal.db"))
	out := flat(w.MustFail("apply", "-auto-approve", "-no-color", "-lock=false"))
	if !strings.Contains(out, "the journal's guardrails can't be used") || proxy.Configured(t) != step {
		t.Errorf("weights\n%swant\n%s%s", proxy.Configured(t), step, out)
	}
	if got := w.Attributes(address)["status"]; got != "cancelled" {
		t.Errorf("status %v", got)
	}
}

// breakGuardrails closes the open execution of a journal, and leaves an equal one with guardrails of another kind open.
func breakGuardrails(t *testing.T, path string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	store, err := sqlite.Open(ctx, path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // what it wrote is committed
	records, err := store.Find(ctx, journal.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if !rec.Open() || rec.DryRun {
			continue
		}
		if _, err := store.Append(ctx, rec.Lease(), journal.KindOutcome,
			journal.Outcome{Status: journal.StatusCancelled}); err != nil {
			t.Fatal(err)
		}
		rec.Intent.Guardrails = json.RawMessage(`{"rails":"errors"}`)
		next, err := store.Begin(ctx, rec.Subject, journal.KindIntent, rec.Intent)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range []struct {
			kind journal.Kind
			body any
		}{{journal.KindDispatch, journal.Dispatch{RemoteID: rec.RemoteID}}, {journal.KindProgress, rec.Progress}} {
			if next, err = store.Append(ctx, next.Lease(), entry.kind, entry.body); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Fatal("the journal has no open execution")
}
