// Package unchanged answers for resources that nothing has changed, before the framework sees them.
//
// Terraform reads and plans every resource in every run. The framework decodes the values of each, walks them along the
// schema several times and encodes them again, to arrive at what it was given: milliseconds per resource where nothing
// is to be done. The front in this package stands before the framework's server and answers two calls with the bytes
// that came in: a read of a resource with nothing to look at, and a plan whose proposed state is the prior state.
//
// An answer of the front must be the framework's answer. It passes on every call that could end otherwise:
//
//   - a create, a destroy, and whatever Terraform proposes to change;
//   - a resource whose last execution did not succeed: skipped, unfinished, failed or of unknown outcome;
//   - a resource that watches its target for drift;
//   - a resource with private state, of an import for example, or with an identity;
//   - an attribute that is both optional and computed and is not configured: its default may differ from the state;
//   - a resource with attributes that are write-only, or that hide a default within another attribute;
//   - a client that lets the provider defer its answer, and values that are not encoded as Terraform encodes them.
//
// TestFrontAnswersAsTheFramework in package provider compares both on the real provider with thousands of states and
// configurations. ADR 11 has the reasons and the figures.
package unchanged

import (
	"bytes"
	"context"
	"sync"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Server is a provider's server with every kind of call that the plugin library asks for: a wrapper with fewer would
// hide actions, lists and stores from it.
type Server interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

// Front returns a server that answers for what is unchanged and passes everything else on to next.
func Front(next Server) Server { return &front{Server: next} }

type front struct {
	Server
	once sync.Once
	// all are the resource types that the front may answer for, by name.
	all map[string]kind
}

// kind returns the resource type of that name where the front may answer for it.
func (f *front) kind(ctx context.Context, name string) (kind, bool) {
	f.once.Do(func() { f.all = read(context.WithoutCancel(ctx), f.Server) })
	k, ok := f.all[name]
	return k, ok
}

// ReadResource implements tfprotov6.ResourceServer.
func (f *front) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (
	*tfprotov6.ReadResourceResponse, error) {
	_, known := f.kind(ctx, req.TypeName)
	if !known || len(req.Private) > 0 || req.CurrentIdentity != nil || defers(req.ClientCapabilities) ||
		!succeeded(req.CurrentState) {
		return f.Server.ReadResource(ctx, req)
	}
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState}, nil
}

func defers(c *tfprotov6.ReadResourceClientCapabilities) bool { return c != nil && c.DeferralAllowed }

// PlanResourceChange implements tfprotov6.ResourceServer.
func (f *front) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	kind, known := f.kind(ctx, req.TypeName)
	if !known || len(req.PriorPrivate) > 0 || req.PriorIdentity != nil || mayDefer(req.ClientCapabilities) ||
		!same(req.ProposedNewState, req.PriorState) || !succeeded(req.PriorState) || !kind.configured(req.Config) {
		return f.Server.PlanResourceChange(ctx, req)
	}
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: req.PriorState}, nil
}

func mayDefer(c *tfprotov6.PlanResourceChangeClientCapabilities) bool {
	return c != nil && c.DeferralAllowed
}

// same tells whether two values are encoded alike, as equal values of Terraform are.
func same(a, b *tfprotov6.DynamicValue) bool {
	return a != nil && b != nil && len(a.MsgPack) > 0 && bytes.Equal(a.MsgPack, b.MsgPack)
}

// succeeded tells whether the state is that of a resource whose last execution succeeded.
func succeeded(state *tfprotov6.DynamicValue) bool {
	const success = "success"
	status, found := text(state, statusName)
	return found && status == success
}
