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
		MarkdownDescription: "The system that splits traffic among versions: exactly one of the following. " +
			"Default: `file` with its default path.",
		Blocks: map[string]schema.Block{
			"file": schema.SingleNestedBlock{
				MarkdownDescription: "A JSON file that a router watches. The provider replaces it atomically, under " +
					"a lock, and increases its revision. See the guide \"The planner file\".",
				Attributes: map[string]schema.Attribute{
					"path": optionalString("Path of the file. Default: `" + defaultPlanner +
						"`. Environment: `REMEDIATION_PLANNER_FILE`."),
				},
			},
			"http": schema.SingleNestedBlock{
				MarkdownDescription: "An HTTP control API, as described in `docs/planner-openapi.yaml`.",
				Attributes: map[string]schema.Attribute{
					"url": optionalString("Base URL of the API; `/split` is below it. Environment: " +
						"`REMEDIATION_PLANNER_URL`."),
					"token": secret("Bearer token. Environment: `REMEDIATION_PLANNER_TOKEN`."),
				},
			},
			"applylens": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("stable_version", "canary_version")},
				MarkdownDescription: "The ApplyLens planner guard API, for two versions. It has no revisions, so a " +
					"change by somebody else in the milliseconds between a read and a write goes unnoticed. While " +
					"its own detector is in breach, every read of its status rolls the canary back, including the " +
					"reads of a plan or a refresh. The plan warns about that.",
				Attributes: map[string]schema.Attribute{
					"url": optionalString("Base URL of the API; `/guard/status` is below it. Environment: " +
						"`REMEDIATION_PLANNER_URL`."),
					"token":          secret("Bearer token. Environment: `REMEDIATION_PLANNER_TOKEN`."),
					"stable_version": required("Name of the stable version."),
					"canary_version": required("Name of the canary."),
				},
			},
			"gateway_api": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("namespace", "http_route", "backends")},
				MarkdownDescription: "An HTTPRoute of the Kubernetes Gateway API. Only the weights of the named " +
					"backends are changed, and only if the route has not changed since it was read. A route that an " +
					"Argo Rollout controls is refused. The provider neither starts nor stops workloads.",
				Attributes: map[string]schema.Attribute{
					"namespace":  required("Namespace of the route."),
					"http_route": required("Name of the route."),
					"backends": versionMap("Name of the route's backend for each version, such as `{ \"v1\" " +
						"= \"planner-v1\" }`. Other backends of the rule must have weight 0."),
					"kubeconfig": optionalString("Kubeconfig file. Default: as kubectl finds it (`KUBECONFIG`, " +
						"`~/.kube/config`, the pod's service account)."),
					"stable_version": optionalString("The stable version. Required unless it is the only " +
						"other version with traffic."),
				},
			},
			"haproxy": schema.SingleNestedBlock{
				Validators: []validator.Object{tfkit.Needs("address", "backend", "servers")},
				MarkdownDescription: "A running HAProxy, through its runtime API (`stats socket ... level " +
					"admin`). Weights last until HAProxy is reloaded. The API has no compare-and-set, so a " +
					"change by somebody else in the milliseconds between a read and a write goes unnoticed.",
				Attributes: map[string]schema.Attribute{
					"address": required("Address of the runtime API, `unix:///run/haproxy.sock` or " +
						"`tcp://127.0.0.1:9999`."),
					"backend": required("Backend whose servers are the versions. Its other servers must have " +
						"weight 0."),
					"servers": versionMap("HAProxy server for each version, such as `{ \"v1\" = \"srv1\" }`."),
					"stable_version": optionalString("The stable version. Required unless it is the only " +
						"other version with traffic."),
				},
			},
		},
	}
}

// required is a string that must be set and not be empty. It is optional in the schema, because the framework demands
// required arguments even if their block is absent. See tfkit.Needs.
func required(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "Required. " + description,
		Validators: []validator.String{tfkit.Label()}}
}

// versionMap maps versions to names in the traffic router.
func versionMap(description string) schema.MapAttribute {
	return schema.MapAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: "Required. " + description,
		Validators: []validator.Map{mapvalidator.SizeAtLeast(leastVersions), mapvalidator.NoNullValues(),
			mapvalidator.KeysAre(tfkit.Label()), mapvalidator.ValueStringsAre(tfkit.Label())},
	}
}

// leastVersions is the number of versions that a traffic split needs.
const leastVersions = 2
