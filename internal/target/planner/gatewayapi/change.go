package gatewayapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	// acceptedWithin is how long a controller may take to accept a change, and poll how often the status is read.
	acceptedWithin = 20 * time.Second
	poll           = 250 * time.Millisecond
)

// operation is an operation of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Set implements planner.Planner.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	s, err := p.state(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	now, err := p.split(s)
	if err != nil {
		return planner.Split{}, err
	}
	if err := now.Allows(change); err != nil {
		return planner.Split{}, err
	}
	patch := []operation{{"test", "/metadata/resourceVersion", change.Revision}}
	for _, version := range slices.Sorted(maps.Keys(s.refs)) {
		r := s.refs[version]
		patch = append(patch, operation{"add", fmt.Sprintf("/spec/rules/%d/backendRefs/%d/weight", r.rule, r.backend),
			weightOf(change.Shares[version])})
	}
	return p.send(ctx, append(patch, s.annotate(change.By, s.save().Down)...))
}

// weightOf returns the weight for a share in percent.
func weightOf(share float64) int64 { return int64(math.Round(share * weightSum / planner.Whole)) }

// send patches the route and waits until it is accepted.
func (p *Planner) send(ctx context.Context, patch []operation) (planner.Split, error) {
	route, err := p.patch(ctx, patch)
	if err != nil {
		return planner.Split{}, err
	}
	s, err := p.look(route)
	if err == nil {
		err = p.accepted(ctx, route.GetGeneration())
	}
	if err != nil && !errors.Is(err, planner.ErrNotEffective) {
		err = errors.Join(planner.ErrUncertain, err)
	}
	if err != nil {
		return planner.Split{}, err
	}
	return p.split(s)
}

// Deploy implements planner.Planner: it allows traffic to the version again. It does not start the version's workload.
func (p *Planner) Deploy(ctx context.Context, v planner.Version) error {
	return p.mark(ctx, v, false)
}

// Decommission implements planner.Planner: it forbids traffic to the version. It does not stop the version's workload.
func (p *Planner) Decommission(ctx context.Context, v planner.Version) error {
	return p.mark(ctx, v, true)
}

func (p *Planner) mark(ctx context.Context, v planner.Version, down bool) error {
	s, err := p.state(ctx)
	if err != nil {
		return err
	}
	now, err := p.split(s)
	if err != nil {
		return err
	}
	check := now.Check
	if down {
		check = now.CheckDown
	}
	if err := check(v.Name); err != nil || now.Deployed(v.Name) != down {
		return err
	}
	test := operation{"test", "/metadata/resourceVersion", s.route.GetResourceVersion()}
	_, err = p.patch(ctx, append([]operation{test}, s.annotate(v.By, s.decommissioned(v.Name, down))...))
	return err
}

// decommissioned returns the value of downAnnotation once version is taken down, or deployed if down is false. It
// returns nil if no version is down then.
func (s state) decommissioned(version string, down bool) *string {
	list := slices.DeleteFunc(slices.Clone(s.down), func(name string) bool { return name == version })
	if down {
		list = append(list, version)
	}
	if len(list) == 0 {
		return nil
	}
	names := strings.Join(list, ",")
	return &names
}

// annotate returns the operations that set the annotations. by is the execution that changes the route, and down the
// value of downAnnotation, or nil to remove it.
func (s state) annotate(by string, down *string) []operation {
	was := s.route.GetAnnotations()
	annotations := map[string]string{}
	maps.Copy(annotations, was)
	if by != "" {
		annotations[byAnnotation] = by
	}
	if delete(annotations, downAnnotation); down != nil {
		annotations[downAnnotation] = *down
	}
	switch {
	case maps.Equal(annotations, was):
		return nil
	case len(annotations) == 0:
		return []operation{{Op: "remove", Path: "/metadata/annotations"}}
	default:
		return []operation{{"add", "/metadata/annotations", annotations}}
	}
}

// patch changes the route if it still has the resourceVersion that the first operation tests.
func (p *Planner) patch(ctx context.Context, operations []operation) (*unstructured.Unstructured, error) {
	client, err := p.open()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	route, err := client.Resource(routes).Namespace(p.cfg.Namespace).Patch(ctx, p.cfg.Route, types.JSONPatchType, body,
		metav1.PatchOptions{FieldManager: planner.By})
	p.log(ctx, "PATCH", began, err)
	if err == nil {
		return route, nil
	}
	refused := p.refused(err, true)
	if errors.Is(refused, planner.ErrUncertain) {
		return nil, refused // this patch itself may have changed the revision
	}
	// The API reports both a failed test and an invalid route as an invalid request: a read distinguishes them.
	s, lookErr := p.state(ctx)
	if lookErr == nil && s.route.GetResourceVersion() != operations[0].Value {
		now, splitErr := p.split(s)
		return nil, errors.Join(splitErr, planner.Moved(now))
	}
	return nil, refused
}

// accepted waits until each gateway's controller has accepted this generation of the route. If no controller has ever
// reported on the route, it does not wait.
func (p *Planner) accepted(ctx context.Context, generation int64) error {
	giveUp := p.clock.Now().Add(acceptedWithin)
	for {
		s, err := p.state(ctx)
		if err != nil {
			return err
		}
		waiting, refusal := reports(s.route, generation)
		switch {
		case refusal != "":
			return p.problem("The gateway refuses the route", refusal, "http_route", planner.ErrNotEffective)
		case !waiting:
			return nil
		case !p.clock.Now().Before(giveUp):
			return p.problem("The gateway has not accepted the route",
				fmt.Sprintf("Its controller has not reported on generation %d within %s. "+
					"The weights are set.", generation, acceptedWithin), "http_route", planner.ErrNotEffective)
		}
		if err := p.clock.Sleep(ctx, poll); err != nil {
			return err
		}
	}
}

// reports returns whether the controller of a parent gateway has not seen the generation yet, and why one refuses it.
func reports(route *unstructured.Unstructured, generation int64) (waiting bool, refusal string) {
	parents, _, _ := unstructured.NestedSlice(route.Object, "status", "parents")
	for _, parent := range parents {
		fields, _ := parent.(map[string]any)
		conditions, _, _ := unstructured.NestedSlice(fields, "conditions")
		for _, condition := range conditions {
			c, _ := condition.(map[string]any)
			if c["type"] != "Accepted" {
				continue
			}
			seen, _, _ := unstructured.NestedInt64(c, "observedGeneration")
			switch {
			case seen < generation:
				waiting = true
			case c["status"] != "True":
				refusal = fmt.Sprintf("Accepted is %v: %v %v.", c["status"], c["reason"], c["message"])
			}
		}
	}
	return waiting, refusal
}
