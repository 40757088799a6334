package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// started returns when the process began, in clock ticks since boot: field 22 of /proc/PID/stat. The second field is a
// name that may contain blanks and parentheses, so fields are counted from the last parenthesis on. A zombie is an
// error.
//
// gopsutil converts ticks to the time of day, which moves when the clock is adjusted: a live process would look like
// another one.
func started(pid int) (uint64, error) {
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

// boot returns an identifier of the host's current boot, because PIDs and start times start over after each boot.
func boot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// commandLine returns the arguments of a process, program name included.
func commandLine(pid int) ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"), nil
}
