package dbtrun_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// rounds is how often the two commands run in turn; medians are reported.
const rounds = 5

// BenchmarkApplyBesideDBT runs the same two models by dbt itself and by applying a saved plan, in turn. What the
// provider adds must stay under a twentieth of dbt's own time and half a second.
func BenchmarkApplyBesideDBT(b *testing.B) {
	p := acctest.NewProject(b)
	w := acctest.NewWorkspace(b, p.Environment()...)
	apply := func(round int) time.Duration {
		w.Write("main.tf", config("", fmt.Sprintf("triggers = { round = %q }", fmt.Sprint(round))))
		w.Must("plan", "-out=saved.tfplan")
		return measure(b, w.Command(b.Context(), "apply", "saved.tfplan"))
	}
	alone := func() time.Duration {
		cmd := exec.CommandContext(b.Context(), acctest.DBT(b), "run", "--select", "inbox_emails", "triage_results",
			"--threads", "4")
		cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), p.Environment()...)
		return measure(b, cmd)
	}
	alone() // dbt parses the project once, as the first plan does
	for b.Loop() {
		var with, without, extra []time.Duration
		for round := range rounds {
			base := alone()
			through := apply(round)
			with, without, extra = append(with, through), append(without, base), append(extra, through-base)
		}
		b.ReportMetric(median(without).Seconds(), "dbt-s")
		b.ReportMetric(median(with).Seconds(), "apply-s")
		b.ReportMetric(median(extra).Seconds(), "extra-s")
		b.ReportMetric(median(with).Seconds()/median(without).Seconds(), "apply/dbt")
	}
}

func measure(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return time.Since(begun)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
