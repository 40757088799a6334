package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

func plannerSchema() schema.Block {
	return schema.SingleNestedBlock{
		Validators: []validator.Object{tfkit.ExactlyOne("file", "http", "applylens", "haproxy", "gateway_api")},
		MarkdownDescription: "What shares the traffic out among versions; exactly one of the following. Default: " +
			"`file` with its default path.",
		Blocks: map[string]schema.Block{
			"file": schema.SingleNestedBlock{
				MarkdownDescription: "A JSON file that a router watches. It is replaced atomically, " +
					"under a lock, and counts its revisions.",
				Attributes: map[string]schema.Attribute{
					"path": optionalString("The file. Default `" + defaultPlanner +
						"`. Environment: `REMEDIATION_PLANNER_FILE`."),
				},
			},
			"http": schema.SingleNestedBlock{
				MarkdownDescription: "A control API, as `docs/planner-openapi.yaml` describes it.",
				Attributes: map[string]schema.Attribute{
					"url": optionalString("Base of the API, under which `/split` lies. Environment: " +
						"`REMEDIATION_PLANNER_URL`."),
					"token": secret("Bearer token. Environment: `REMEDIATION_PLANNER_TOKEN`."),
				},
			},
			"applylens": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("stable_version", "canary_version")},
				MarkdownDescription: "The ApplyLens planner guard API, for two versions. It has no revisions: a " +
					"change by somebody else in the " +
					"milliseconds between a read and a write is not seen. While its own detector is in breach, every " +
					"read of its status, a plan's or a " +
					"refresh's too, rolls the canary back there; a plan says so.",
				Attributes: map[string]schema.Attribute{
					"url": optionalString("Base under which `/guard/status` lies. Environment: " +
						"`REMEDIATION_PLANNER_URL`."),
					"token":          secret("Bearer token. Environment: `REMEDIATION_PLANNER_TOKEN`."),
					"stable_version": required("Name of the stable version."),
					"canary_version": required("Name of the canary."),
				},
			},
			"gateway_api": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("namespace", "http_route", "backends")},
				MarkdownDescription: "An HTTPRoute of the Kubernetes Gateway API. Only the weights of the named " +
					"backends are changed, and only if the route " +
					"is still as it was read. A route that an Argo Rollout moves is refused. Workloads are neither " +
					"started nor stopped.",
				Attributes: map[string]schema.Attribute{
					"namespace":  required("Namespace of the route."),
					"http_route": required("Name of the route."),
					"backends": versionMap("Name of the route's backend by version, such as `{ \"v1\" = " +
						"\"planner-v1\" }`. Other backends of the rule must have weight 0."),
					"kubeconfig": optionalString("Kubeconfig file. Default: as kubectl finds it (`KUBECONFIG`, " +
						"`~/.kube/config`, the pod's service account)."),
					"stable_version": optionalString("The stable version. Needed where it is not the only other one " +
						"with traffic."),
				},
			},
			"haproxy": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("address", "backend", "servers")},
				MarkdownDescription: "A running HAProxy, by its runtime API (`stats socket ... level admin`). " +
					"Weights that are set last until it is " +
					"reloaded. It has no compare-and-set: a change by somebody else in the milliseconds between a " +
					"read and a write is not seen.",
				Attributes: map[string]schema.Attribute{
					"address": required("Address of the runtime API, `unix:///run/haproxy.sock` or " +
						"`tcp://127.0.0.1:9999`."),
					"backend": required("Backend whose servers are the versions. Its other servers must have " +
						"weight 0."),
					"servers": versionMap("HAProxy's server by version, such as `{ \"v1\" = \"srv1\" }`."),
					"stable_version": optionalString("The stable version. Needed where it is not the only other one " +
						"with traffic."),
				},
			},
		},
	}
}

// required is a string that must be set and not be empty. It is optional in the schema, since the framework asks for
// the required arguments of a block that is absent, too: see tfkit.Needs.
func required(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "Required. " + description,
		Validators: []validator.String{tfkit.Label()}}
}

// versionMap names something of the backend's by version.
func versionMap(description string) schema.MapAttribute {
	return schema.MapAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: "Required. " + description,
		Validators: []validator.Map{mapvalidator.SizeAtLeast(leastVersions), mapvalidator.NoNullValues(),
			mapvalidator.KeysAre(tfkit.Label()), mapvalidator.ValueStringsAre(tfkit.Label())},
	}
}

// leastVersions are needed to share anything out.
const leastVersions = 2
