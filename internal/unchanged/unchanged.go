// Package unchanged answers reads and plans of unchanged resources, without the framework.
//
// Terraform reads and plans every resource in every run. The framework decodes the values of each, walks the schema
// several times, and encodes the same values again. This takes milliseconds per unchanged resource. The front in this
// package wraps the framework's server and answers two calls with the bytes of the request: a read of a resource that
// does not detect drift, and a plan whose proposed state is the prior state.
//
// An answer of the front must equal the framework's. The front passes on every call whose answer could differ:
//
//   - a create, a destroy, and every proposed change;
//   - a resource whose last execution did not succeed: skipped, unfinished, failed or of unknown outcome;
//   - a resource that detects drift of its target;
//   - a resource with private state, for example after an import, or with an identity;
//   - an attribute that is both optional and computed and is not configured: its default may differ from the state;
//   - a resource with attributes that are write-only, or that hide a default within another attribute;
//   - a client that allows deferred answers, and values that are not encoded as Terraform encodes them.
//
// TestFrontAnswersAsTheFramework in package provider compares both answers for thousands of states and
// configurations of the real provider. ADR 11 has the reasons and the figures.
package unchanged

import (
	"bytes"
	"context"
	"sync"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Server is a provider's server with every kind of call in the plugin library. A wrapper with fewer calls would hide
// actions, lists, and state stores.
type Server interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

// Front returns a server that answers for unchanged resources and passes all other calls on to next.
func Front(next Server) Server { return &front{Server: next} }

type front struct {
	Server
	once sync.Once
	// all are the resource types that the front may answer for, by name.
	all map[string]kind
}

// kind returns the resource type of that name if the front may answer for it.
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

// same reports whether two values have the same encoding. Terraform encodes equal values identically.
func same(a, b *tfprotov6.DynamicValue) bool {
	return a != nil && b != nil && len(a.MsgPack) > 0 && bytes.Equal(a.MsgPack, b.MsgPack)
}

// succeeded reports whether the last execution of the resource succeeded.
func succeeded(state *tfprotov6.DynamicValue) bool {
	const success = "success"
	status, found := text(state, statusName)
	return found && status == success
}
