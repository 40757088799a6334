// Package proc identifies processes, distinguishes a live process from a dead one whose PID was reused, and reads the
// command of the parent process. If the operating system doesn't tell, answers are "unknown".
package proc

import (
	"fmt"
	"os"
)

// Identity identifies a process on a host, now or in the past.
type Identity struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// Started is when the process began: on Linux in clock ticks since boot, elsewhere in milliseconds since 1970. Zero
	// if the system doesn't tell.
	Started uint64 `json:"started,omitempty"`
	// Boot identifies the boot of the host, since PIDs and start times repeat after each boot. Empty if unknown.
	Boot string `json:"boot,omitempty"`
}

// Liveness is what is known about whether a process is alive.
type Liveness int

// Values of Liveness.
const (
	Unknown Liveness = iota // it is on another host, or the system doesn't tell
	Alive
	Dead
)

// Self identifies this process.
func Self() Identity { return Identify(os.Getpid()) }

// Identify identifies the process pid of this host.
func Identify(pid int) Identity {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	at, err := started(pid)
	if err != nil {
		at = 0
	}
	return Identity{Host: host, PID: pid, Started: at, Boot: boot()}
}

// Liveness reports whether the process is alive. A zombie counts as dead.
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

// String formats the process for people.
func (i Identity) String() string { return fmt.Sprintf("process %d on %s", i.PID, i.Host) }
