// Package unchanged answers reads and plans of unchanged resources, without the framework.
//
// Terraform reads and plans every resource in every run. The framework decodes the values of each, walks the schema
// several times, and encodes the same values again. This takes milliseconds per unchanged resource. The front in this
// package wraps the framework's server and answers two calls with the bytes of the request: a read of a resource that
// does not detect drift, and a plan whose proposed state is the prior state.
//
// An answer from the front must equal the framework's. The front passes every call whose answer could differ on to the
// framework:
//
//   - a create, a destroy, and every proposed change;
//   - a resource whose last execution did not succeed: skipped, unfinished, failed, canceled, or of unknown outcome;
//   - a resource that detects drift of its target;
//   - a resource with an identity, or with private state, for example after an import. Private state with only the
//     keys that the caller of Front names is returned unchanged;
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
	"encoding/json"
	"sync"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Server is a provider's server for every kind of call in the plugin library. A wrapper with fewer calls would hide
// actions, lists, and state stores.
type Server interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

// Front returns a server that answers for unchanged resources and passes all other calls on to next. unread has the
// keys of private state on which the answer for an unchanged resource does not depend, each with a function that gets
// the value of every resource that the front answers for: what it tells about the run must not get lost. stored gets
// the state of each resource as Terraform has stored it, in JSON. For a tainted resource, Terraform may show it nowhere
// else: without a refresh, it plans the replacement as a create.
func Front(next Server, unread map[string]func(value []byte), stored func(state []byte)) Server {
	return &front{Server: next, unread: unread, stored: stored}
}

type front struct {
	Server
	unread map[string]func(value []byte)
	stored func(state []byte)
	once   sync.Once
	// all are the resource types that the front may answer for, by name.
	all map[string]kind
}

// kind returns the resource type of that name if the front may answer for it.
func (f *front) kind(ctx context.Context, name string) (kind, bool) {
	f.once.Do(func() { f.all = read(context.WithoutCancel(ctx), f.Server) })
	k, ok := f.all[name]
	return k, ok
}

// UpgradeResourceState implements tfprotov6.ResourceServer.
func (f *front) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (
	*tfprotov6.UpgradeResourceStateResponse, error) {
	if req.RawState != nil {
		f.stored(req.RawState.JSON)
	}
	return f.Server.UpgradeResourceState(ctx, req)
}

// ReadResource implements tfprotov6.ResourceServer.
func (f *front) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (
	*tfprotov6.ReadResourceResponse, error) {
	_, known := f.kind(ctx, req.TypeName)
	private, unread := f.ignores(req.Private)
	if !known || !unread || req.CurrentIdentity != nil || defers(req.ClientCapabilities) ||
		!succeeded(req.CurrentState) {
		return f.Server.ReadResource(ctx, req)
	}
	f.tell(private)
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Private: req.Private}, nil
}

// ignores returns the values in private state, and reports whether it has only unread keys, in the framework's own
// encoding.
func (f *front) ignores(private []byte) (values map[string][]byte, unread bool) {
	if len(private) == 0 {
		return nil, true
	}
	if json.Unmarshal(private, &values) != nil || len(values) == 0 {
		return nil, false
	}
	for key, value := range values {
		if f.unread[key] == nil || !json.Valid(value) {
			return nil, false
		}
	}
	again, err := json.Marshal(values)
	return values, err == nil && bytes.Equal(again, private)
}

// tell passes on the values in the private state of a resource that the front answers for.
func (f *front) tell(private map[string][]byte) {
	for key, value := range private {
		f.unread[key](value)
	}
}

func defers(c *tfprotov6.ReadResourceClientCapabilities) bool { return c != nil && c.DeferralAllowed }

// PlanResourceChange implements tfprotov6.ResourceServer.
func (f *front) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	kind, known := f.kind(ctx, req.TypeName)
	private, unread := f.ignores(req.PriorPrivate)
	if !known || !unread || req.PriorIdentity != nil || mayDefer(req.ClientCapabilities) ||
		!same(req.ProposedNewState, req.PriorState) || !succeeded(req.PriorState) || !kind.configured(req.Config) {
		return f.Server.PlanResourceChange(ctx, req)
	}
	f.tell(private)
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: req.PriorState, PlannedPrivate: req.PriorPrivate}, nil
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
