package gatewayapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// identity is the route, regardless of its name.
type identity struct {
	UID string `json:"route_uid"`
}

// saved is what Restore restores: the weights as they are written, nil for the API's default, and the value of
// downAnnotation, nil if there is none.
type saved struct {
	Weights map[string]*int64 `json:"weights"`
	Down    *string           `json:"decommissioned"`
}

func (s state) save() saved {
	out := saved{Weights: map[string]*int64{}}
	for version, r := range s.refs {
		out.Weights[version] = nil
		if r.set {
			out.Weights[version] = &r.weight
		}
	}
	if down, ok := s.route.GetAnnotations()[downAnnotation]; ok {
		out.Down = &down
	}
	return out
}

func (s state) encode() planner.State {
	text, err := json.Marshal(s.save())
	if err != nil {
		return nil // numbers and strings always encode
	}
	return text
}

// plain reports whether setting the shares alone writes the same weights.
func (s state) plain() bool {
	sum := int64(0)
	for _, r := range s.refs {
		if !r.set {
			return false
		}
		sum += r.weight
	}
	return sum == weightSum && len(s.down) == 0
}

func (p *Planner) decode(state planner.State) (saved, map[string]float64, error) {
	var s saved
	if err := json.Unmarshal(state, &s); err != nil {
		return s, nil, p.problem("The state to restore is invalid", err.Error(), "backends", planner.ErrShares)
	}
	want := slices.Sorted(maps.Keys(p.cfg.Backends))
	if got := slices.Sorted(maps.Keys(s.Weights)); !slices.Equal(got, want) {
		return s, nil, p.problem("The state to restore belongs to other versions", fmt.Sprintf("It names %s, and the "+
			"provider's block %s.", strings.Join(got, ", "), strings.Join(want, ", ")), "backends", planner.ErrShares)
	}
	weight := func(version string) float64 {
		if w := s.Weights[version]; w != nil {
			return float64(*w)
		}
		return 1 // the API's default
	}
	sum, shares := 0.0, map[string]float64{}
	for version := range s.Weights {
		sum += weight(version)
	}
	if sum <= 0 {
		return s, nil, p.problem("The state to restore is not a split", "All weights are 0.", "backends",
			planner.ErrShares)
	}
	for version := range s.Weights {
		shares[version] = planner.Whole * weight(version) / sum
	}
	return s, shares, nil
}

// Restoring implements planner.Planner.
func (p *Planner) Restoring(_ planner.Split, state planner.State) (string, map[string]float64, error) {
	s, shares, err := p.decode(state)
	if err != nil {
		return "", nil, err
	}
	var parts []string
	for _, version := range slices.Sorted(maps.Keys(s.Weights)) {
		weight := "the default"
		if w := s.Weights[version]; w != nil {
			weight = fmt.Sprint(*w)
		}
		parts = append(parts, version+" weight "+weight)
	}
	line := fmt.Sprintf("patch httproute %s/%s: %s", p.cfg.Namespace, p.cfg.Route, strings.Join(parts, ", "))
	return line, shares, nil
}

// Restore implements planner.Planner: weights and the annotation in one patch.
func (p *Planner) Restore(ctx context.Context, r planner.Restoration) (planner.Split, error) {
	want, _, err := p.decode(r.State)
	if err != nil {
		return planner.Split{}, err
	}
	s, err := p.state(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	now, err := p.split(s)
	if err != nil {
		return planner.Split{}, err
	}
	if now.Revision != r.Revision {
		return planner.Split{}, planner.Moved(now)
	}
	patch := []operation{{"test", "/metadata/resourceVersion", r.Revision}}
	for _, version := range slices.Sorted(maps.Keys(s.refs)) {
		ref := s.refs[version]
		path := fmt.Sprintf("/spec/rules/%d/backendRefs/%d/weight", ref.rule, ref.backend)
		if w := want.Weights[version]; w != nil {
			patch = append(patch, operation{"add", path, *w})
		} else if ref.set {
			patch = append(patch, operation{Op: "remove", Path: path})
		}
	}
	return p.send(ctx, append(patch, s.annotate(r.By, want.Down)...))
}

// log logs one request for the route.
func (p *Planner) log(ctx context.Context, method string, began time.Time, err error) {
	status := 200
	if err != nil {
		status = 0
		if refusal, ok := err.(apierrors.APIStatus); ok { //nolint:errorlint // the client returns it unwrapped
			status = int(refusal.Status().Code)
		}
	}
	logging.Request(ctx, logging.Planner, logging.Exchange{Method: method,
		Path: "httproutes/" + p.cfg.Namespace + "/" + p.cfg.Route, Status: status, Took: time.Since(began), Err: err})
}
