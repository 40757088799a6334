package canarysplit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin starts an apply and waits until the canary has passed a share.
func (r rig) begin(t *testing.T, beyond float64) (kill func(syscall.Signal) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := r.Command(ctx, "apply", "-auto-approve", "-no-color")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for r.share(t) <= beyond && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	return func(sig syscall.Signal) string {
		defer cancel()
		to := cmd.Process.Pid
		if sig == syscall.SIGKILL {
			to = -to // the provider dies with Terraform
		}
		_ = syscall.Kill(to, sig)
		_ = cmd.Wait()
		return out.String()
	}
}

func TestAccInterruptAndDeathInTheMiddle(t *testing.T) {
	t.Parallel()
	more := approved + "\n  gradual_duration = \"6s\"\n  steps = 3"
	gradual := config(25, more, "")
	for name, sig := range map[string]syscall.Signal{"interrupt": syscall.SIGINT, "death": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Write("main.tf", gradual)
			out := flat(r.begin(t, 10)(sig))
			if got := r.share(t); got != 15 && got != 20 {
				t.Fatalf("the canary has %g%%, which is no step", got)
			}
			// The message names the share that was reached, and what to do next.
			reached := fmt.Sprintf("The apply was interrupted. v1.2.3-canary has %g%% of the traffic, step", r.share(t))
			if sig == syscall.SIGINT && (!strings.Contains(out, reached) ||
				!strings.Contains(out, "Plan again: the new plan starts from the current state of the target")) {
				t.Errorf("the apply says:\n%s", out)
			}
			if sig == syscall.SIGINT && (r.Attributes(address)["status"] != "cancelled" ||
				!strings.Contains(r.detail("percent_now"), "5")) {
				t.Errorf("status %v, %s %%", r.Attributes(address)["status"], r.detail("percent_now"))
			}
			_ = os.Remove(filepath.Join(r.Dir, ".terraform.tfstate.lock.info"))
			from := fmt.Sprint(r.share(t))
			// It continues from another share, which was not approved.
			r.Write("main.tf", config(25, more+r.pin(t, "plan", "-lock=false"), ""))
			r.Must("apply", "-auto-approve", "-no-color", "-lock=false")
			if r.share(t) != 25 || r.detail("percent_before") != from {
				t.Errorf("the canary has %g%%, it went on from %s %%, and had %s %%", r.share(t),
					r.detail("percent_before"), from)
			}
		})
	}
}

// TestAccNewStateForEachApply applies the same configuration with a new state each time, as some pipelines do.
// Terraform ended normally, so the second apply is not a retry of the first.
func TestAccNewStateForEachApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 2 {
		pin := ""
		r.Write("main.tf", config(25, atOnce, ""))
		if i > 0 {
			pin = r.pin(t, "plan") // the name approved the execution before
		}
		r.Write("main.tf", config(25, atOnce+pin, ""))
		r.Must("apply", "-auto-approve", "-no-color")
		if got := r.share(t); got != 25 {
			t.Fatalf("the canary has %g%%", got)
		}
		if err := os.Remove(filepath.Join(r.Dir, "terraform.tfstate")); err != nil {
			t.Fatal(err)
		}
		r.split(10)
	}
}

func TestAccSomeoneElseMovesTrafficDuringAShift(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, approved+"\n  gradual_duration = \"6s\"\n  steps = 3", ""))
	wait := r.begin(t, 10)
	r.split(33)
	wait(0)
	if got := r.share(t); got != 33 {
		t.Errorf("the canary has %g%%: somebody's change was fought", got)
	}
	if status := r.Attributes(address)["status"]; status != "failed" {
		t.Errorf("status %v", status)
	}
}
