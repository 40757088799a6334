// Package gatewayapi implements planner.Planner for an HTTPRoute of the Kubernetes Gateway API: the weights of the
// named backends in one rule are the split. Only these weights are changed, and only if the route has not changed since
// it was read (its resourceVersion).
package gatewayapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	// resolution is in percentage points. Weights sum to weightSum; the API accepts up to 1,000,000.
	resolution = 0.01
	weightSum  = 10_000
	// perSecond is the limit of requests per second. The library's default of 5 would slow down a move.
	perSecond = 50
	// downAnnotation lists versions that were taken down: the route has no field for that.
	downAnnotation = "remediation.applylens.com/decommissioned"
	// byAnnotation names the execution that last changed the route.
	byAnnotation = "remediation.applylens.com/changed-by"
)

// Resources of the Kubernetes API.
var (
	routes   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	rollouts = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
)

// Config names the route and the backend of each version.
type Config struct {
	Namespace, Route string
	// Backends are the names of the route's backendRefs by version.
	Backends map[string]string
	// Kubeconfig is a file. Empty: as kubectl finds it, or the pod's service account.
	Kubeconfig string
	// Stable is the stable version. Optional.
	Stable string
	// Access restricts what the kubeconfig file may open, start, and send.
	Access Access
}

// Planner is a planner in an HTTPRoute.
type Planner struct {
	cfg   Config
	clock clock.Clock

	mu     sync.Mutex
	client dynamic.Interface
}

var _ planner.Planner = (*Planner)(nil)

// IsName reports whether name is a valid object name.
func IsName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// New returns the planner. It does no I/O.
func New(cfg Config, clk clock.Clock) *Planner { return &Planner{cfg: cfg, clock: clk} }

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) {
	return fmt.Sprintf("planner:gateway_api:%s/%s", p.cfg.Namespace, p.cfg.Route), nil
}

// Command implements planner.Planner.
func (p *Planner) Command(_ planner.Split, shares map[string]float64) string {
	return fmt.Sprintf("patch httproute %s/%s: %s", p.cfg.Namespace, p.cfg.Route, planner.Text(shares))
}

func (p *Planner) open() (dynamic.Interface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		return p.client, nil
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = p.cfg.Kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, p.problem("The cluster can't be configured", err.Error(), "kubeconfig", planner.ErrUnreachable)
	}
	if err := p.cfg.Access.check(cfg); err != nil {
		return nil, p.problem("The kubeconfig file is not allowed here", err.Error(), "kubeconfig", err)
	}
	cfg.WarningHandler, cfg.QPS, cfg.Burst = rest.NoWarnings{}, perSecond, perSecond
	if p.client, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, p.problem("The cluster can't be configured", err.Error(), "kubeconfig", planner.ErrUnreachable)
	}
	return p.client, nil
}

// ref is a backendRef of the rule: its position and its weight.
type ref struct {
	rule, backend int
	weight        int64
	// set reports that the weight is written in the route and is not the API's default.
	set bool
}

// state is the parsed route.
type state struct {
	route *unstructured.Unstructured
	refs  map[string]ref
	down  []string
}

// Read implements planner.Planner.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	s, err := p.state(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	return p.split(s)
}

func (p *Planner) state(ctx context.Context) (state, error) {
	client, err := p.open()
	if err != nil {
		return state{}, err
	}
	began := time.Now()
	route, err := client.Resource(routes).Namespace(p.cfg.Namespace).Get(ctx, p.cfg.Route, metav1.GetOptions{})
	p.log(ctx, "GET", began, err)
	if err != nil {
		return state{}, p.refused(err, false)
	}
	s, err := p.look(route)
	if err != nil {
		return state{}, err
	}
	return s, p.free(ctx, client, route)
}

// look parses the route. One rule must contain all named backends and no other backend with traffic.
func (p *Planner) look(route *unstructured.Unstructured) (state, error) {
	s := state{route: route, refs: map[string]ref{}}
	versions := map[string]string{}
	for version, name := range p.cfg.Backends {
		versions[name] = version
	}
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "rules")
	if err != nil {
		return s, p.problem("The route can't be parsed", err.Error(), "http_route", planner.ErrMalformed)
	}
	for i, rule := range rules {
		found, foreign := map[string]ref{}, []string{}
		fields, _ := rule.(map[string]any)
		backends, _, _ := unstructured.NestedSlice(fields, "backendRefs")
		for j, backend := range backends {
			fields, _ := backend.(map[string]any)
			name, _, _ := unstructured.NestedString(fields, "name")
			weight, set, _ := unstructured.NestedInt64(fields, "weight")
			if !set {
				weight = 1 // the API's default
			}
			if version, ok := versions[name]; ok {
				found[version] = ref{rule: i, backend: j, weight: weight, set: set}
			} else if weight > 0 {
				foreign = append(foreign, name)
			}
		}
		if len(found) == 0 {
			continue
		}
		if len(s.refs) > 0 {
			return s, p.problem("Two rules of the route use these backends",
				fmt.Sprintf("Rules %d and another one.", i+1), "backends", planner.ErrMalformed)
		}
		if len(foreign) > 0 {
			return s, p.problem("The route has other backends",
				fmt.Sprintf("Rule %d also sends traffic to %s, so the shares would not cover all traffic. "+
					"The route was left as it is.", i+1, strings.Join(foreign, ", ")), "backends", planner.ErrMalformed)
		}
		s.refs = found
	}
	for _, version := range slices.Sorted(maps.Keys(p.cfg.Backends)) {
		if _, ok := s.refs[version]; !ok {
			return s, p.problem(fmt.Sprintf("The route has no backend %q", p.cfg.Backends[version]),
				fmt.Sprintf("It is configured for version %s.", version), "backends", planner.ErrMalformed)
		}
	}
	for _, version := range strings.Split(route.GetAnnotations()[downAnnotation], ",") {
		if _, ok := s.refs[version]; ok {
			s.down = append(s.down, version)
		}
	}
	return s, nil
}

func (p *Planner) split(s state) (planner.Split, error) {
	out := planner.Split{
		Revision: s.route.GetResourceVersion(), Shares: map[string]float64{}, Down: s.down, Stable: p.cfg.Stable,
		Resolution: resolution, Identity: identity{string(s.route.GetUID())}, State: s.encode(), Plain: s.plain(),
		Content: map[string]any{"spec": s.route.Object["spec"],
			"decommissioned": s.route.GetAnnotations()[downAnnotation]},
	}
	sum := int64(0)
	for _, r := range s.refs {
		sum += r.weight
	}
	if sum == 0 {
		return out, p.problem("No backend of the route has traffic", "All weights are 0.", "backends",
			planner.ErrMalformed)
	}
	for version, r := range s.refs {
		out.Shares[version] = planner.Whole * float64(r.weight) / float64(sum)
	}
	return out, nil
}

func (p *Planner) refused(err error, write bool) error {
	switch {
	case apierrors.IsNotFound(err):
		return p.problem("There is no such route", err.Error(), "http_route", planner.ErrMalformed)
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return p.problem("The cluster refuses the credentials", err.Error(), "kubeconfig", planner.ErrForbidden)
	case apierrors.IsConflict(err):
		return p.problem("Someone else changed the route", err.Error(), "http_route", planner.ErrMoved)
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return p.problem("The cluster refuses the change", err.Error(), "http_route", planner.ErrShares)
	case write:
		return p.problem("The connection to the cluster was lost during a change", err.Error(), "http_route",
			planner.ErrUncertain)
	default:
		return p.problem("The cluster can't be reached", err.Error(), "kubeconfig", planner.ErrUnreachable)
	}
}

func (p *Planner) problem(what, why, field string, cause error) error {
	return &problem.Problem{
		What: what, Why: why, Next: fmt.Sprintf("Check the provider's planner.gateway_api block and HTTPRoute %s/%s.",
			p.cfg.Namespace, p.cfg.Route),
		Path: []string{"planner", "gateway_api", field}, Err: cause,
	}
}
