package gatewayapi

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubejson "k8s.io/apimachinery/pkg/util/json"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Project implements planner.Projecting: it makes the change on a copy of the route's spec. Changes by anything else,
// such as a controller or a webhook, can't be projected: apply then refuses the next step, and names the difference.
func (p *Planner) Project(now planner.Split, e planner.Effect) (planner.Split, error) {
	want, _, err := p.decode(now.State)
	if err == nil && e.Restore != nil {
		want, _, err = p.decode(e.Restore)
	}
	if err != nil {
		return planner.Split{}, err
	}
	s, err := p.copied(now.Content, want.Down)
	if err != nil {
		return planner.Split{}, err
	}
	if e.Restore == nil {
		s, err = p.moved(s, e, want)
	} else {
		s, err = p.written(s, want)
	}
	if err != nil {
		return planner.Split{}, err
	}
	after, err := p.split(s)
	after.Identity = now.Identity
	return after, err
}

// copied returns a parsed route with the spec in content, which is a split's, and the value of downAnnotation.
func (p *Planner) copied(content any, down *string) (state, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return state{}, err
	}
	object := map[string]any{}
	// Kubernetes' decoder gives whole numbers the type that its helpers expect.
	if err := kubejson.Unmarshal(text, &object); err != nil {
		return state{}, err
	}
	return p.look(marked(object["spec"], down))
}

// marked returns a route with a spec and the value of downAnnotation, or without this annotation if down is nil.
func marked(spec any, down *string) *unstructured.Unstructured {
	route := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	if down != nil {
		route.SetAnnotations(map[string]string{downAnnotation: *down})
	}
	return route
}

// moved returns the route after a move, which is made as Deploy, Set, and Decommission do, in this order.
func (p *Planner) moved(s state, e planner.Effect, want saved) (state, error) {
	if e.Deploy != "" {
		want.Down = s.decommissioned(e.Deploy, false)
	}
	if e.Shares != nil {
		for version := range want.Weights {
			weight := weightOf(e.Shares[version])
			want.Weights[version] = &weight
		}
	}
	s, err := p.written(s, want)
	if err != nil || e.Decommission == "" {
		return s, err
	}
	want.Down = s.decommissioned(e.Decommission, true)
	return p.written(s, want)
}

// written returns a copy of the route with the weights and the annotation in want, as Restore sets them.
func (p *Planner) written(s state, want saved) (state, error) {
	rules, _, err := unstructured.NestedSlice(s.route.Object, "spec", "rules") // a copy
	if err != nil {
		return s, err
	}
	for version, r := range s.refs {
		rule, _ := rules[r.rule].(map[string]any)
		backends, _ := rule["backendRefs"].([]any)
		backend, _ := backends[r.backend].(map[string]any)
		if delete(backend, "weight"); want.Weights[version] != nil {
			backend["weight"] = *want.Weights[version]
		}
	}
	route := marked(s.route.DeepCopy().Object["spec"], want.Down)
	if err := unstructured.SetNestedSlice(route.Object, rules, "spec", "rules"); err != nil {
		return s, err
	}
	return p.look(route)
}
