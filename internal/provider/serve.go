package provider

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
	"github.com/applylens/terraform-provider-remediation/internal/unchanged"
)

const (
	// address is the provider's source address, host included, as the plugin protocol expects it.
	address = "registry.terraform.io/applylens/remediation"
	// exitTimeout bounds the work after Terraform has ended normally: Terraform kills its providers after two seconds.
	exitTimeout = 1500 * time.Millisecond
)

// Options configure the server.
type Options struct {
	Version string
	// Debug lets a debugger such as delve attach.
	Debug bool
	// Reached, if set, is called at each point of an execution. It is for tests.
	Reached func(engine.Point)
	// Clock, if set, replaces the machine's clock. It is for tests.
	Clock clock.Clock

	// quiet reports that Terraform discards the provider's log lines.
	quiet bool
}

// Serve serves the provider until Terraform ends it. It sets environment variables and the garbage collector of this
// process, so call it only once. If Terraform ends normally, Serve journals that: until then, an execution may be
// missing from Terraform's state.
func Serve(ctx context.Context, o Options) error {
	var err error
	if o.quiet, err = quiet(os.LookupEnv, os.Setenv); err != nil {
		return err
	}
	configured := &engines{planned: engine.NewPlanned()}
	server, err := newServer(o, configured)
	if err != nil {
		return err
	}
	server = tune(server, os.LookupEnv)
	var options []tf6server.ServeOpt
	if o.Debug {
		options = append(options, tf6server.WithManagedDebug())
	}
	if err := tf6server.Serve(address, func() tfprotov6.ProviderServer { return server }, options...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exitTimeout)
	defer cancel()
	configured.end(ctx)
	return nil
}

// newServer returns the framework's server, behind the front that answers for unchanged resources.
func newServer(o Options, configured *engines) (unchanged.Server, error) {
	server, err := providerserver.NewProtocol6WithError(newProvider(o, configured)())()
	if err != nil {
		return nil, err
	}
	whole, ok := server.(unchanged.Server)
	if !ok {
		return nil, errors.New("the framework's server lacks calls that the plugin library knows; this is a bug in " +
			"the provider")
	}
	return unchanged.Front(whole, map[string]func([]byte){tfkit.PrivateMark: configured.saw}, configured.stored), nil
}

// engines holds one engine per call of Configure, with what has to be closed when the process ends.
type engines struct {
	mu  sync.Mutex
	all []wired
	// planned remembers the executions that were planned in this process.
	planned *engine.Planned
}

func (e *engines) add(one wired) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

// saw tells the engines the newest journal entry that the state of an unchanged resource has seen.
func (e *engines) saw(mark []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		one.engine.Saw(tfkit.ParseMark(mark))
	}
}

// stored tells the engines the execution that a stored state names.
func (e *engines) stored(state []byte) {
	var named struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(state, &named) != nil {
		return // the framework reports it
	}
	ref, err := journal.ParseRef(named.ID)
	if err != nil {
		return // a skipped step has none
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		one.engine.SawExecution(ref)
	}
}

// end acknowledges the outcomes that were delivered, waits for notices that are being sent, and closes dbt, which
// removes its scratch folders.
func (e *engines) end(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		one.engine.AcknowledgeAll(ctx)
	}
	for _, one := range e.all {
		if one.sender != nil {
			one.sender.Flush(ctx)
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, one := range e.all {
			one.dbt.Close() // waits until dbt has answered the current question
		}
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}
