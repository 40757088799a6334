package bench_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// BenchmarkDBT compares a plan with dbt ls, and the apply of a saved plan with dbt run. They use the same two models
// and run in turn.
func BenchmarkDBT(b *testing.B) {
	project := acctest.NewProject(b)
	w := acctest.NewWorkspace(b, project.Environment()...)
	dbt := func(args ...string) time.Duration {
		cmd := exec.CommandContext(b.Context(), acctest.DBT(b),
			append(args, "--select", "inbox_emails", "triage_results")...)
		cmd.Dir, cmd.Env = project.Dir, append(os.Environ(), project.Environment()...)
		begun := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		return time.Since(begun)
	}
	dbt("run") // it parses the whole project, as the first plan does
	const times = 5
	for b.Loop() {
		var all []cost
		for round := range times {
			w.Write("main.tf", requires("remediation")+fmt.Sprintf("resource \"remediation_dbt_run\" \"x\" {\n"+
				"  models = [\"inbox_emails\", \"triage_results\"]\n  triggers = { round = \"%d\" }\n}\n", round))
			all = append(all, cost{wall: map[string]time.Duration{
				"ls": dbt("ls"), "plan": timed(b, w, "plan", "-out=saved.tfplan"),
				"run": dbt("run", "--threads", "4"), "apply": timed(b, w, "apply", "saved.tfplan"),
			}})
		}
		of := func(step string) time.Duration {
			return median(all, func(c cost) time.Duration { return c.wall[step] })
		}
		b.ReportMetric(0, "ns/op")
		for _, step := range []string{"ls", "plan", "run", "apply"} {
			b.ReportMetric(of(step).Seconds(), step+"-s")
		}
		b.ReportMetric(ratio(of("plan"), of("ls")), "plan/ls")
		b.ReportMetric(ratio(of("apply"), of("run")), "apply/run")
		b.ReportMetric((of("apply") - of("run")).Seconds(), "extra-s")
	}
}
