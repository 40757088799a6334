package provider

import (
	"errors"
	"runtime/debug"
	"strings"
)

const (
	// gcPercent is the garbage collector's target: it runs when the heap is six times the memory in use. Go's default
	// is twice. Most memory that a call allocates is garbage at its end, and the collector took a quarter of the
	// processor time.
	gcPercent = 500
	// memoryLimit, in bytes, bounds the effect of gcPercent: near the limit, the collector runs more often. It is about
	// the memory that a provider without logic needs for 1,000 resources.
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

// quiet sets the level of the SDK's log lines to Terraform's log level, and turns them off if logging is off. By
// default, the SDK writes all of them and Terraform discards them, which costs a fifth of the provider's processor
// time. It reports whether Terraform discards the lines of the provider, too.
func quiet(lookup func(string) (string, bool), set func(name, value string) error) (discarded bool, err error) {
	const sdk, off = "TF_LOG_SDK", "OFF"
	names := []string{sdk}
	level := off
	for _, name := range []string{"TF_LOG_PROVIDER", "TF_LOG"} { // in Terraform's order of precedence
		if v, _ := lookup(name); v != "" {
			level = strings.ToUpper(v)
			break
		}
	}
	if level == "JSON" { // Terraform's level for all lines, as JSON
		level = "TRACE"
	}
	if v, _ := lookup(sdk); v != "" {
		return level == off, nil
	}
	if level == off { // with a level, a subsystem of the SDK recognizes sooner that it has nothing to write
		names = append(names, sdk+"_FRAMEWORK", sdk+"_PROTO")
	}
	for _, name := range names {
		err = errors.Join(err, set(name, level))
	}
	return level == off, err
}
