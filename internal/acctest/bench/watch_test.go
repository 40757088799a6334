package bench_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watch looks at the processes of a program while Terraform starts and ends them: Terraform's own figures would include
// the provider's.
type watch struct {
	binary   string
	done     chan struct{}
	finished chan struct{}
	cpu      map[string]time.Duration // by process
	peak     int
}

func watchProgram(binary string) *watch {
	w := &watch{binary: binary, done: make(chan struct{}), finished: make(chan struct{}),
		cpu: map[string]time.Duration{}}
	go func() {
		defer close(w.finished)
		const often = 20 * time.Millisecond
		tick := time.NewTicker(often)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				w.look()
			}
		}
	}()
	return w
}

// stop returns the processor time of all processes, and the largest peak of memory in bytes.
func (w *watch) stop() (cpu time.Duration, peak int) {
	close(w.done)
	<-w.finished
	for each := range maps.Values(w.cpu) {
		cpu += each
	}
	return cpu, w.peak
}

func (w *watch) look() {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || w.binary == "" {
		return
	}
	for _, dir := range processes {
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err != nil || exe != w.binary {
			continue
		}
		if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil {
			if spent := processorTime(string(stat)); spent > 0 {
				w.cpu[dir] = spent
			}
		}
		if status, err := os.ReadFile(filepath.Join(dir, "status")); err == nil {
			w.peak = max(w.peak, peakMemory(string(status)))
		}
	}
}

// processorTime reads the user's and the system's time of /proc/PID/stat, in ticks of a hundredth of a second.
func processorTime(stat string) time.Duration {
	const userAt, systemAt, tick = 11, 12, 10 * time.Millisecond
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) <= systemAt {
		return 0
	}
	user, _ := strconv.Atoi(fields[userAt])
	system, _ := strconv.Atoi(fields[systemAt])
	return time.Duration(user+system) * tick
}

// peakMemory reads the peak of resident memory of /proc/PID/status, in bytes.
func peakMemory(status string) int {
	var kilobytes int
	if _, line, found := strings.Cut(status, "VmHWM:"); found {
		_, _ = fmt.Sscan(line, &kilobytes)
	}
	const kilo = 1 << 10
	return kilobytes * kilo
}
