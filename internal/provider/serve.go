package provider

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

const (
	// address is the provider's source address, host included, as the plugin protocol wants it.
	address = "registry.terraform.io/applylens/remediation"
	// protocol is the version of the plugin protocol.
	protocol = 6
	// partingTime bounds what is done when Terraform has ended in order: it kills its providers after two seconds.
	partingTime = 1500 * time.Millisecond
)

// Options are how the provider is served.
type Options struct {
	Version string
	// Debug runs it so that a debugger such as delve can attach.
	Debug bool
	// Reached, where set, is called at each point of an execution. It is for tests.
	Reached func(engine.Point)
}

// Serve serves the provider until Terraform ends it. An end in order is journaled: until then it is not certain that
// what was executed is in Terraform's state.
func Serve(ctx context.Context, o Options) error {
	configured := &engines{}
	err := providerserver.Serve(ctx, newProvider(o, configured), providerserver.ServeOpts{
		Address: address, Debug: o.Debug, ProtocolVersion: protocol,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
	defer cancel()
	configured.part(ctx)
	return nil
}

// engines are those of all the times that Terraform configured this provider.
type engines struct {
	mu  sync.Mutex
	all []*engine.Engine
}

func (e *engines) add(one *engine.Engine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

func (e *engines) part(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		one.AcknowledgeAll(ctx)
	}
}
