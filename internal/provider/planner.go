package provider

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/applylens"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/file"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/gatewayapi"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/haproxy"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
)

// defaultPlanner is the planner file if no planner is configured.
const defaultPlanner = "planner.json"

type plannerBlock struct {
	File      *filePlannerBlock      `tfsdk:"file"`
	HTTP      *httpPlannerBlock      `tfsdk:"http"`
	Applylens *applylensPlannerBlock `tfsdk:"applylens"`
	HAProxy   *haproxyPlannerBlock   `tfsdk:"haproxy"`
	Gateway   *gatewayPlannerBlock   `tfsdk:"gateway_api"`
}

type gatewayPlannerBlock struct {
	Namespace     types.String      `tfsdk:"namespace"`
	HTTPRoute     types.String      `tfsdk:"http_route"`
	Backends      map[string]string `tfsdk:"backends"`
	Kubeconfig    types.String      `tfsdk:"kubeconfig"`
	StableVersion types.String      `tfsdk:"stable_version"`
}

type httpPlannerBlock struct {
	URL   types.String `tfsdk:"url"`
	Token types.String `tfsdk:"token"`
}

type applylensPlannerBlock struct {
	URL           types.String `tfsdk:"url"`
	Token         types.String `tfsdk:"token"`
	StableVersion types.String `tfsdk:"stable_version"`
	CanaryVersion types.String `tfsdk:"canary_version"`
}

type haproxyPlannerBlock struct {
	Address       types.String      `tfsdk:"address"`
	Backend       types.String      `tfsdk:"backend"`
	Servers       map[string]string `tfsdk:"servers"`
	StableVersion types.String      `tfsdk:"stable_version"`
}

type filePlannerBlock struct {
	Path types.String `tfsdk:"path"`
}

// planner returns the configured planner. The schema allows only one. It does no I/O.
func (b block) planner(r runner) (planner.Planner, error) {
	p := plannerBlock{}
	if b.Planner != nil {
		p = *b.Planner
	}
	switch {
	case p.HTTP != nil:
		return p.HTTP.planner(r)
	case p.Applylens != nil:
		return p.Applylens.planner(r)
	case p.HAProxy != nil:
		return p.HAProxy.planner(r)
	case p.Gateway != nil:
		return p.Gateway.planner(r)
	default:
		return b.filePlanner()
	}
}

func (b block) filePlanner() (planner.Planner, error) {
	var configured types.String
	if b.Planner != nil && b.Planner.File != nil {
		configured = b.Planner.File.Path
	}
	path, err := filepath.Abs(first(configured, "REMEDIATION_PLANNER_FILE", defaultPlanner))
	if err != nil {
		return nil, problemAt("planner.file.path", "The planner file's path can't be made absolute", err.Error(),
			"Set an absolute path.")
	}
	return file.New(path), nil
}

// Environment variables for planners with an HTTP API.
const (
	plannerURL   = "REMEDIATION_PLANNER_URL"
	plannerToken = "REMEDIATION_PLANNER_TOKEN" //nolint:gosec // the variable's name, not a token
)

func (h *httpPlannerBlock) planner(r runner) (planner.Planner, error) {
	url, token, err := r.service(service{"planner.http", h.URL, h.Token, plannerURL, plannerToken})
	if err != nil {
		return nil, err
	}
	return httpapi.New(url, token), nil
}

func (a *applylensPlannerBlock) planner(r runner) (planner.Planner, error) {
	url, token, err := r.service(service{"planner.applylens", a.URL, a.Token, plannerURL, plannerToken})
	if err != nil {
		return nil, err
	}
	cfg := applylens.Config{URL: url, Token: token, Stable: a.StableVersion.ValueString(),
		Canary: a.CanaryVersion.ValueString()}
	for _, name := range []struct{ attribute, version string }{{"stable_version", cfg.Stable},
		{"canary_version", cfg.Canary}} {
		if err := checkVersion([]string{"planner", "applylens", name.attribute}, name.version); err != nil {
			return nil, err
		}
	}
	if cfg.Stable == cfg.Canary {
		return nil, problemAt("planner.applylens.canary_version", "The canary is the stable version",
			"Both are "+cfg.Stable+".", "Name two versions.")
	}
	return applylens.New(cfg), nil
}

func (h *haproxyPlannerBlock) planner(r runner) (planner.Planner, error) {
	cfg := haproxy.Config{
		Address: h.Address.ValueString(), Backend: h.Backend.ValueString(), Servers: h.Servers,
		Stable: h.StableVersion.ValueString(),
	}
	if err := haproxy.CheckAddress(cfg.Address); err != nil {
		return nil, problemAt("planner.haproxy.address", "Invalid address of HAProxy's runtime API", err.Error()+".",
			"Write unix:///run/haproxy.sock.")
	}
	if err := r.open("planner.haproxy.address", cfg.Address); err != nil {
		return nil, err
	}
	// Both are sent in commands to the runtime API, where a space or a semicolon would end them.
	if !haproxy.IsName(cfg.Backend) {
		return nil, problemAt("planner.haproxy.backend", "Invalid HAProxy name",
			fmt.Sprintf("%q has characters other than letters, digits, and - _ . :",
				cfg.Backend), "Write the backend's name as in HAProxy's configuration.")
	}
	for _, version := range slices.Sorted(maps.Keys(cfg.Servers)) {
		if name := cfg.Servers[version]; !haproxy.IsName(name) {
			return nil, problemIn([]string{"planner", "haproxy", "servers", problem.Key(version)},
				"Invalid HAProxy name",
				fmt.Sprintf("%q has characters other than letters, digits, and - _ . :",
					name), "Write the server's name as in HAProxy's configuration.")
		}
	}
	if err := checkVersions("planner.haproxy", "servers", cfg.Servers, cfg.Stable); err != nil {
		return nil, err
	}
	return haproxy.New(cfg), nil
}

func (g *gatewayPlannerBlock) planner(r runner) (planner.Planner, error) {
	cfg := gatewayapi.Config{
		Namespace: g.Namespace.ValueString(), Route: g.HTTPRoute.ValueString(), Backends: g.Backends,
		Kubeconfig: g.Kubeconfig.ValueString(), Stable: g.StableVersion.ValueString(),
		Access: gatewayapi.Access{Hosts: r.hosts, Executables: r.executables},
	}
	if cfg.Kubeconfig != "" {
		cfg.Access.Entrusted = func(address string) bool { return r.trusts(destination{address: address}) }
	}
	const next = "Write it as kubectl shows it."
	for _, name := range []struct{ attribute, name string }{{"namespace", cfg.Namespace}, {"http_route", cfg.Route}} {
		if !gatewayapi.IsName(name.name) {
			return nil, problemAt("planner.gateway_api."+name.attribute, "Invalid Kubernetes name",
				fmt.Sprintf("%q is not a valid object name.", name.name), next)
		}
	}
	for _, version := range slices.Sorted(maps.Keys(cfg.Backends)) {
		if name := cfg.Backends[version]; !gatewayapi.IsName(name) {
			return nil, problemIn([]string{"planner", "gateway_api", "backends", problem.Key(version)},
				"Invalid Kubernetes name", fmt.Sprintf("%q is not a valid service name.", name), next)
		}
	}
	if err := checkVersions("planner.gateway_api", "backends", cfg.Backends, cfg.Stable); err != nil {
		return nil, err
	}
	return gatewayapi.New(cfg, clock.System{}), nil
}

// checkVersion refuses an invalid version name.
func checkVersion(at []string, name string) error {
	if why := planner.CheckName(name); why != "" {
		return problemIn(at, "Invalid name of a version", fmt.Sprintf("%q %s.", name, why),
			"Name the version as the resources do.")
	}
	return nil
}

// checkVersions refuses versions that share a backend or server, and a stable version that is not among them.
func checkVersions(where, attribute string, names map[string]string, stable string) error {
	if _, ok := names[stable]; stable != "" && !ok {
		return problemAt(where+".stable_version", "The stable version is not among the versions",
			stable+" has no entry.", "Name one of the configured versions.")
	}
	taken := map[string]string{}
	for _, version := range slices.Sorted(maps.Keys(names)) {
		at := append(strings.Split(where, "."), attribute, problem.Key(version))
		if err := checkVersion(at, version); err != nil {
			return err
		}
		if other, ok := taken[names[version]]; ok {
			what := strings.TrimSuffix(attribute, "s")
			return problemIn(at, "Two versions have the same "+what,
				fmt.Sprintf("%s and %s are both %s.", other, version, names[version]), "Name another "+what+".")
		}
		taken[names[version]] = version
	}
	return nil
}
