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
	// fewPercent is the garbage collector's target at first: it runs when the heap is 1.6 times the memory in use. Go's
	// default is twice. A process with few resources ends before the collector's work matters.
	fewPercent = 60
	// manyPlans is the number of resource plans in one process after which the collector runs less often.
	manyPlans = 150
	// manyPercent is the target after manyPlans. Most memory that a call allocates is garbage at its end, and the
	// collector took a quarter of the processor time.
	manyPercent = 500
	// The memory limit, in bytes, bounds the effect of manyPercent: near the limit, the collector runs more often. It
	// grows with the number of plans, as the memory of a provider without logic does. The limit and the 30 MB of the
	// program's own pages together are at most 1.5 times what such a provider needs.
	leastMemory   = 18 << 20
	memoryPerPlan = 110 << 10
	mostMemory    = 96 << 20
	// plansPerStep is after how many plans the limit is raised, which stops all goroutines for a moment.
	plansPerStep = 25
)

// tuned is a server that sets the garbage collector's target at the manyPlans-th plan, and from then on the memory
// limit.
type tuned struct {
	unchanged.Server
	plans atomic.Int64
}

// PlanResourceChange implements tfprotov6.ResourceServer.
func (t *tuned) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	n := t.plans.Add(1)
	if n >= manyPlans && n%plansPerStep == 0 {
		debug.SetMemoryLimit(memoryLimit(n))
	}
	if n == manyPlans {
		debug.SetGCPercent(manyPercent)
	}
	return t.Server.PlanResourceChange(ctx, req)
}

// memoryLimit returns the memory limit, in bytes, after a number of plans.
func memoryLimit(plans int64) int64 { return min(leastMemory+plans*memoryPerPlan, mostMemory) }

// tune sets the garbage collector's target and returns the server wrapped in tuned, unless the user has set the target
// or the limit.
func tune(server unchanged.Server, lookup func(string) (string, bool)) unchanged.Server {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if v, set := lookup(name); set && v != "" {
			return server
		}
	}
	debug.SetGCPercent(fewPercent)
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
