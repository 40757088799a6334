// Package proc names processes so that a living one can be told from a dead one whose identifier was used again, and
// tells what the process that started this one was asked to do. Where the system does not say (no /proc), answers are
// "unknown".
package proc

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Identity is a process on a host, now or in the past.
type Identity struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// Started is the start time in clock ticks since boot. Zero where the system does not say.
	Started uint64 `json:"started,omitempty"`
	// Boot identifies the boot of the host, since PIDs and start times begin anew with each. Empty where unknown.
	Boot string `json:"boot,omitempty"`
}

// Liveness is what is known of a process.
type Liveness int

// Values of Liveness.
const (
	Unknown Liveness = iota // on another host, or the system does not say
	Alive
	Dead
)

// Self names this process.
func Self() Identity { return Identify(os.Getpid()) }

// Identify names the process pid of this host.
func Identify(pid int) Identity {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = nil
	}
	started, err := startTicks(pid)
	if err != nil {
		started = 0
	}
	return Identity{Host: host, PID: pid, Started: started, Boot: strings.TrimSpace(string(boot))}
}

// Liveness tells whether the process lives. A zombie counts as dead.
func (i Identity) Liveness() Liveness {
	now := Identify(i.PID)
	switch {
	case now.Host != i.Host || i.Started == 0 || i.Boot == "" || now.Boot == "":
		return Unknown
	case now.Boot == i.Boot && now.Started == i.Started:
		return Alive
	default:
		return Dead
	}
}

// String names the process for people.
func (i Identity) String() string { return fmt.Sprintf("process %d on %s", i.PID, i.Host) }

// startTicks reads field 22 of /proc/PID/stat. The second field is a name that may hold blanks and parentheses, so
// fields are counted from the last parenthesis on.
func startTicks(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const startTime, state, first = 22, 3, 3
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= startTime-first || fields[state-first] == "Z" {
		return 0, fmt.Errorf("process %d: no start time", pid)
	}
	return strconv.ParseUint(fields[startTime-first], 10, 64)
}

// Terraform is what the parent process, when it is Terraform or OpenTofu, was asked to do.
type Terraform struct {
	// Session names the parent process, or is empty where it can't be told.
	Session string
	// SavedPlan tells that it applies a saved plan, so that every plan it asks for is one within an apply.
	SavedPlan bool
}

// Parent looks at the process that started this one.
func Parent() Terraform {
	parent := Identify(os.Getppid())
	if parent.Started == 0 {
		return Terraform{}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", parent.PID))
	if err != nil {
		return Terraform{}
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	return Terraform{
		Session:   fmt.Sprintf("%s:%s:%d:%d", parent.Host, parent.Boot, parent.PID, parent.Started),
		SavedPlan: appliesSavedPlan(args),
	}
}

// valueFlags are the options of apply whose value may be the next argument.
var valueFlags = []string{"var", "var-file", "target", "exclude", "replace", "state", "state-out", "backup",
	"parallelism", "lock-timeout"}

// appliesSavedPlan tells whether args (program name included) is an apply with a plan file, which comes last.
func appliesSavedPlan(args []string) bool {
	rest := slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return strings.HasPrefix(a, "-chdir=") })
	if len(rest) < 2 || rest[0] != "apply" {
		return false
	}
	last, before := rest[len(rest)-1], strings.TrimLeft(rest[len(rest)-2], "-")
	isValue := rest[len(rest)-2] != before && slices.Contains(valueFlags, before)
	return !strings.HasPrefix(last, "-") && !isValue
}
