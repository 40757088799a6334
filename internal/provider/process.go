package provider

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/unchanged"
)

const (
	// manyPlans is the number of resource plans in one process after which the garbage collector runs less often. A
	// process with few resources ends before the collector matters, and needs little memory with Go's default.
	manyPlans = 150
	// gcPercent is the garbage collector's target after manyPlans: it runs when the heap is six times the memory in
	// use. Go's default is twice. Most memory that a call allocates is garbage at its end, and the collector took a
	// quarter of the processor time.
	gcPercent = 500
	// memoryLimit, in bytes, bounds the effect of gcPercent: near the limit, the collector runs more often. The limit
	// and the program's own pages together are less than what a provider without logic needs for 1,000 resources.
	memoryLimit = 96 << 20
)

// tuned is a server that sets the garbage collector's target and the memory limit together at the manyPlans-th plan.
type tuned struct {
	unchanged.Server
	plans atomic.Int64
}

// PlanResourceChange implements tfprotov6.ResourceServer.
func (t *tuned) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	if t.plans.Add(1) == manyPlans {
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(memoryLimit)
	}
	return t.Server.PlanResourceChange(ctx, req)
}

// tune returns the server wrapped in tuned, unless the user has set the target or the limit.
func tune(server unchanged.Server, lookup func(string) (string, bool)) unchanged.Server {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if v, set := lookup(name); set && v != "" {
			return server
		}
	}
	return &tuned{Server: server}
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
