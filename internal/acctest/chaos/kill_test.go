package chaos_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// running is a started Terraform, once ready is closed.
type running struct {
	ready   chan struct{}
	process *os.Process
	// killed receives a value when a victim was killed.
	killed chan struct{}
}

// aim prepares a shot that does not depend on time alone.
func (c *chain) aim(cmd *exec.Cmd, s *shot, terraform *running) {
	switch {
	case s.point != "":
		cmd.Env = append(cmd.Env, "CHAOS_POINT="+string(s.point), "CHAOS_NTH="+strconv.Itoa(s.nth),
			"CHAOS_AFTER="+s.after.String())
	case s.phase != "":
		c.w.ledger.arm(&blow{s.phase, func() { c.kill(terraform, s.victim) }})
	case s.spawn:
		c.w.arm(s.victim)
	}
}

// kill kills the victims among the running Terraform and its providers.
func (c *chain) kill(terraform *running, victim string) {
	<-terraform.ready
	if victim != "provider" {
		if terraform.process.Kill() != nil {
			return // it has ended
		}
	}
	if victim != "terraform" && c.providers(true) == 0 && victim == "provider" {
		return // there was none at that moment
	}
	terraform.killed <- struct{}{}
}

// providers counts the chain's running providers, and kills them if requested.
func (c *chain) providers(kill bool) int {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return 0
	}
	living := 0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		text, err := os.ReadFile(path)
		var who proc.Identity
		if err != nil || json.Unmarshal(text, &who) != nil {
			continue // it is being written
		}
		if who.Liveness() != proc.Alive {
			_ = os.Remove(path)
			continue
		}
		living++
		if kill {
			_ = syscall.Kill(who.PID, syscall.SIGKILL)
		}
	}
	return living
}
