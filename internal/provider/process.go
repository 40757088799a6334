package provider

import (
	"runtime/debug"
	"strings"
)

const (
	// gcPercent is the garbage collector's target: it runs when the heap is six times what is in use. Go's own is
	// twice. Most of what is allocated per call is garbage at its end, and a quarter of the processor time went to
	// finding that.
	gcPercent = 500
	// memoryLimit, in bytes, is where the collector runs as often as it takes to stay below, so that the target above
	// never makes the process large. It is about what a provider without logic takes with 1,000 resources.
	memoryLimit = 64 << 20
)

// tune sets the garbage collector's target and the memory limit together, unless the user has set one of them.
func tune(lookup func(string) (string, bool)) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if v, set := lookup(name); set && v != "" {
			return
		}
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
}

// quiet sets the level of the SDK's log lines to what the user asked of Terraform, and turns them off where nobody
// asked for a log. The SDK's default is to write all of them and to let Terraform discard them, which costs a fifth of
// the provider's processor time.
func quiet(lookup func(string) (string, bool), set func(name, value string) error) error {
	const sdk = "TF_LOG_SDK"
	if v, _ := lookup(sdk); v != "" {
		return nil
	}
	level := "OFF"
	for _, name := range []string{"TF_LOG_PROVIDER", "TF_LOG"} { // in the order in which Terraform looks at them
		if v, _ := lookup(name); v != "" {
			level = strings.ToUpper(v)
			break
		}
	}
	if level == "JSON" { // Terraform's name for every line, as JSON
		level = "TRACE"
	}
	return set(sdk, level)
}
