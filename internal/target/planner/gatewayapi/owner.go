package gatewayapi

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// free refuses a route whose weights an Argo Rollout sets: the two would undo each other's changes.
func (p *Planner) free(ctx context.Context, client dynamic.Interface, route *unstructured.Unstructured) error {
	owner := ""
	for _, o := range route.GetOwnerReferences() {
		if o.Kind == "Rollout" {
			owner = o.Name
		}
	}
	list, err := client.Resource(rollouts).Namespace(p.cfg.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return p.refused(err, false)
	}
	if err == nil {
		for _, r := range list.Items {
			if text, err := json.Marshal(r.Object["spec"]); err == nil && managed(text, p.cfg.Route) {
				owner = r.GetName()
			}
		}
	}
	if owner == "" {
		return nil
	}
	return p.problem("An Argo Rollout owns the route",
		fmt.Sprintf("Rollout %s/%s moves its weights. The route was left as it is.", p.cfg.Namespace, owner),
		"http_route", planner.ErrOwned)
}

// managed reports whether a Rollout's spec names the route in its plugin for the Gateway API.
func managed(spec []byte, route string) bool {
	var s struct {
		Strategy struct {
			Canary struct {
				TrafficRouting struct {
					Plugins map[string]struct {
						HTTPRoute  string `json:"httpRoute"`
						HTTPRoutes []struct {
							Name string `json:"name"`
						} `json:"httpRoutes"`
					} `json:"plugins"`
				} `json:"trafficRouting"`
			} `json:"canary"`
		} `json:"strategy"`
	}
	if json.Unmarshal(spec, &s) != nil {
		return false
	}
	for _, plugin := range s.Strategy.Canary.TrafficRouting.Plugins {
		if plugin.HTTPRoute == route {
			return true
		}
		for _, r := range plugin.HTTPRoutes {
			if r.Name == route {
				return true
			}
		}
	}
	return false
}
