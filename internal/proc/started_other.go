//go:build !linux

package proc

import (
	"fmt"
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// started returns when the process began, in milliseconds since 1970. The kernels of macOS and Windows store that time
// when the process begins. A zombie is an error.
func started(pid int) (uint64, error) {
	p, err := process.NewProcess(int32(pid)) //nolint:gosec // PIDs fit
	if err != nil {
		return 0, err
	}
	if status, err := p.Status(); err == nil && slices.Contains(status, process.Zombie) {
		return 0, fmt.Errorf("process %d is a zombie", pid)
	}
	created, err := p.CreateTime()
	if err != nil || created <= 0 {
		return 0, fmt.Errorf("process %d: no start time: %w", pid, err)
	}
	return uint64(created), nil
}

// boot returns a constant: start times count from 1970, so they differ between boots.
func boot() string { return "any" }

// commandLine returns the arguments of a process, program name included.
func commandLine(pid int) ([]string, error) {
	p, err := process.NewProcess(int32(pid)) //nolint:gosec // PIDs fit
	if err != nil {
		return nil, err
	}
	return p.CmdlineSlice()
}
