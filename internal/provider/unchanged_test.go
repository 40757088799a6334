package provider

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
	"github.com/applylens/terraform-provider-remediation/internal/unchanged"
)

// frontCalls is how many answers are compared, all types of resources together. The framework takes about five
// milliseconds per call, and ten times as long under the race detector: the suite compares a few hundred answers, and
// make front-matrix and make chaos more than 10,000.
var (
	frontCalls = flag.Int("front.calls", 360, "answers that TestFrontAnswersAsTheFramework compares at least")
	frontSeed  = flag.Uint64("front.seed", 20, "determines the states of TestFrontAnswersAsTheFramework")
)

// passedOn is the server behind the front. It counts the calls that reach it.
type passedOn struct {
	unchanged.Server
	reads, plans atomic.Int64
}

func (p *passedOn) ReadResource(context.Context, *tfprotov6.ReadResourceRequest) (
	*tfprotov6.ReadResourceResponse, error) {
	p.reads.Add(1)
	return nil, nil //nolint:nilnil // there is nothing to compare
}

func (p *passedOn) PlanResourceChange(context.Context, *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	p.plans.Add(1)
	return nil, nil //nolint:nilnil // there is nothing to compare
}

// unread is the private state on which the answers don't depend.
var unread = map[string]func([]byte){tfkit.PrivateMark: func([]byte) {}}

// TestFrontAnswersAsTheFramework compares the front's answers with the framework's, on the real provider.
func TestFrontAnswersAsTheFramework(t *testing.T) {
	t.Parallel()
	framework := configured(t)
	behind := &passedOn{Server: framework}
	pair := compared{framework: framework, front: unchanged.Front(behind, unread, func([]byte) {})}
	types := resourceTypes(t, framework)
	var total atomic.Int64
	t.Cleanup(func() {
		t.Logf("the front answered %d calls as the framework does, and passed on %d reads and %d plans", total.Load(),
			behind.reads.Load(), behind.plans.Load())
	})
	// The front answers no call of a watched type, so the other types share the calls.
	unwatched := 0
	for typ := range maps.Values(types) {
		if !watched(typ) {
			unwatched++
		}
	}
	each := (*frontCalls + unwatched - 1) / unwatched
	for name, typ := range types {
		g := generator{random: rand.New(rand.NewPCG(*frontSeed, 0)), name: name, typ: typ}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := 0
			// Of the calls of ten states, the front answers more than five.
			for range 2 * each {
				if answered += pair.compare(t, g.next(t)); t.Failed() || answered >= each {
					break
				}
			}
			total.Add(int64(answered))
			if watched(typ) && answered > 0 || !watched(typ) && answered < each {
				t.Errorf("the front answered %d calls", answered)
			}
		})
	}
}

func watched(typ tftypes.Object) bool { return slices.Contains(names(typ), "on_drift") }

// compared are the front and the framework's server.
type compared struct {
	framework, front unchanged.Server
}

// compare makes a call, compares what the front answers with the framework's answers, and returns how many it compared.
func (p compared) compare(t *testing.T, c call) (answered int) {
	t.Helper()
	if read, _ := p.front.ReadResource(t.Context(), c.read); read != nil {
		want, err := p.framework.ReadResource(t.Context(), c.read)
		if err != nil {
			t.Fatal(err)
		}
		sameRead(t, c, read, want)
		answered++
	}
	if plan, _ := p.front.PlanResourceChange(t.Context(), c.plan); plan != nil {
		want, err := p.framework.PlanResourceChange(t.Context(), c.plan)
		if err != nil {
			t.Fatal(err)
		}
		samePlan(t, c, plan, want)
		answered++
	}
	return answered
}

// TestAccFrontAnswersWhatTheProviderWrote gives the front the state that an apply of the provider wrote, with its
// private state.
func TestAccFrontAnswersWhatTheProviderWrote(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	w.Write("planner.json", `{"versions": {"v1": {"percent": 100}, "v2": {"percent": 0}}, "stable": "v1"}`)
	w.Write("main.tf", `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
resource "remediation_planner_deploy" "v2" {
  version = "v2"
}
`)
	w.Must("apply", "-auto-approve", "-no-color")
	text, err := os.ReadFile(filepath.Join(w.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Resources []struct {
			Type      string
			Instances []struct {
				Attributes json.RawMessage
				Private    []byte
			}
		}
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	framework := configured(t)
	typ := resourceTypes(t, framework)[state.Resources[0].Type]
	instance := state.Resources[0].Instances[0]
	value, err := tfprotov6.RawState{JSON: instance.Attributes}.Unmarshal(typ)
	if err != nil {
		t.Fatal(err)
	}
	front := unchanged.Front(&passedOn{Server: framework}, unread, func([]byte) {})
	prior := encoded(t, typ, value)
	read, _ := front.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: state.Resources[0].Type,
		CurrentState: prior, Private: instance.Private})
	if len(instance.Private) == 0 || read == nil || string(read.Private) != string(instance.Private) {
		t.Errorf("a read of a resource with private state %q: %v", instance.Private, read)
	}
}

// configured is the framework's server of the provider, with a journal and no targets.
func configured(t *testing.T) unchanged.Server {
	t.Helper()
	made, err := providerserver.NewProtocol6WithError(New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	server, ok := made.(unchanged.Server)
	if !ok {
		t.Fatalf("%T lacks calls of the plugin library", made)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	typ := schemas.Provider.ValueType()
	attributes := map[string]tftypes.Value{}
	for name, attribute := range objectOf(typ).AttributeTypes {
		attributes[name] = tftypes.NewValue(attribute, nil)
		if list, ok := attribute.(tftypes.List); ok {
			attributes[name] = tftypes.NewValue(list, []tftypes.Value{})
		}
	}
	journal := objectOf(objectOf(typ).AttributeTypes["journal"])
	where := map[string]tftypes.Value{}
	for name, attribute := range journal.AttributeTypes {
		where[name] = tftypes.NewValue(attribute, nil)
	}
	where["path"] = tftypes.NewValue(tftypes.String, filepath.Join(t.TempDir(), "journal.db"))
	attributes["journal"] = tftypes.NewValue(journal, where)
	answer, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{
		Config: encoded(t, typ, tftypes.NewValue(typ, attributes))})
	if err != nil || len(answer.Diagnostics) > 0 {
		t.Fatalf("%v %v", err, answer)
	}
	return server
}

func resourceTypes(t *testing.T, server unchanged.Server) map[string]tftypes.Object {
	t.Helper()
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]tftypes.Object{}
	for name, schema := range schemas.ResourceSchemas {
		types[name] = objectOf(schema.ValueType())
	}
	return types
}

func objectOf(t tftypes.Type) tftypes.Object {
	o, _ := t.(tftypes.Object)
	return o
}

func names(t tftypes.Object) []string {
	var all []string
	for name := range t.AttributeTypes {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func encoded(t *testing.T, typ tftypes.Type, v tftypes.Value) *tfprotov6.DynamicValue {
	t.Helper()
	d, err := tfprotov6.NewDynamicValue(typ, v)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func sameRead(t *testing.T, c call, got, want *tfprotov6.ReadResourceResponse) {
	t.Helper()
	sameState(t, c, got.NewState, want.NewState)
	got.NewState, want.NewState = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the answers to a read differ (-framework +front):\n%s", c, diff)
	}
}

func samePlan(t *testing.T, c call, got, want *tfprotov6.PlanResourceChangeResponse) {
	t.Helper()
	sameState(t, c, got.PlannedState, want.PlannedState)
	got.PlannedState, want.PlannedState = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the answers to a plan differ (-framework +front):\n%s", c, diff)
	}
}

// sameState compares values: the framework may encode an equal one in other bytes, such as attributes in another order.
func sameState(t *testing.T, c call, got, want *tfprotov6.DynamicValue) {
	t.Helper()
	a, err := got.Unmarshal(c.typ)
	b, wantErr := want.Unmarshal(c.typ)
	if err != nil || wantErr != nil {
		t.Fatal(err, wantErr)
	}
	if diffs, err := a.Diff(b); err != nil || len(diffs) > 0 {
		t.Errorf("%s: the states differ: %v %v", c, diffs, err)
	}
}
