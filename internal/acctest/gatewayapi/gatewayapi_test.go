// Package gatewayapi_test runs the planner of an HTTPRoute against a real Kubernetes API server, in this process, with
// the CRD of the Gateway API. No controller runs: the tests set the status that one would.
package gatewayapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	servertesting "k8s.io/apiextensions-apiserver/pkg/cmd/server/testing"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/gatewayapi"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/plannertest"
)

const (
	// crdModule holds the Gateway API's CRDs at the version that the tests are for.
	crdModule = "sigs.k8s.io/gateway-api@v1.6.1"
	crdFile   = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
	namespace = "shop"
	upWithin  = 30 * time.Second
	poll      = 100 * time.Millisecond
	private   = 0o600
)

var (
	routes   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	rollouts = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
)

// cluster is a running API server.
type cluster struct {
	client     dynamic.Interface
	kubeconfig string
	count      int
}

func writeKubeconfig(t *testing.T, path string, cfg *rest.Config) {
	t.Helper()
	c := clientcmdapi.NewConfig()
	c.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData,
		CertificateAuthority: cfg.CAFile, TLSServerName: cfg.ServerName}
	c.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: cfg.BearerToken}
	c.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	c.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*c, path); err != nil {
		t.Fatal(err)
	}
}

func startEtcd(t *testing.T) string {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "error"
	client, peer := url.URL{Scheme: "http", Host: spawn.Address(t)}, url.URL{Scheme: "http", Host: spawn.Address(t)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(upWithin):
		t.Fatal("etcd did not come up")
	}
	return client.String()
}

func start(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	nobody := filepath.Join(dir, "nobody")
	writeKubeconfig(t, nobody, &rest.Config{Host: "http://127.0.0.1:1"})
	server, err := servertesting.StartTestServer(t, nil, []string{
		"--etcd-servers=" + startEtcd(t), "--etcd-prefix=/test", "--authentication-skip-lookup",
		"--authentication-kubeconfig=" + nobody, "--authorization-kubeconfig=" + nobody, "--kubeconfig=" + nobody,
		"--enable-priority-and-fairness=false",
		"--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,MutatingAdmissionPolicy,ValidatingAdmissionPolicy",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.TearDownFn)
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig")}
	writeKubeconfig(t, c.kubeconfig, server.ClientConfig)
	if c.client, err = dynamic.NewForConfig(server.ClientConfig); err != nil {
		t.Fatal(err)
	}
	install(t, server.ClientConfig, c.client)
	return c
}

// install creates the CRDs of HTTPRoute and, reduced to what is read, of Rollout.
func install(t *testing.T, cfg *rest.Config, client dynamic.Interface) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", crdModule).Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, crdFile)) //nolint:gosec // a file of a pinned module
	if err != nil {
		t.Fatal(err)
	}
	rollout := `{"metadata": {"name": "rollouts.argoproj.io"}, "spec": {"group": "argoproj.io", "scope": "Namespaced",
		"names": {"plural": "rollouts", "kind": "Rollout", "singular": "rollout", "listKind": "RolloutList"},
		"versions": [{"name": "v1alpha1", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`
	crds := apiextensionsclient.NewForConfigOrDie(cfg).ApiextensionsV1().CustomResourceDefinitions()
	for _, source := range []string{string(text), rollout} {
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.Unmarshal([]byte(source), &crd); err != nil {
			t.Fatal(err)
		}
		if crd.Annotations == nil {
			crd.Annotations = map[string]string{}
		}
		crd.Annotations["api-approved.kubernetes.io"] = "https://github.com/kubernetes-sigs/gateway-api"
		if _, err := crds.Create(t.Context(), &crd, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []schema.GroupVersionResource{routes, rollouts} {
		for deadline := time.Now().Add(upWithin); ; time.Sleep(poll) {
			if _, err = client.Resource(r).Namespace(namespace).List(t.Context(), metav1.ListOptions{}); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is not served: %v", r.Resource, err)
			}
		}
	}
}

// route makes a route with the given backends, as JSON, and a controller's report on it.
func (c *cluster) route(t *testing.T, backends string) string {
	t.Helper()
	c.count++
	name := fmt.Sprintf("route-%d", c.count)
	var object map[string]any
	text := fmt.Sprintf(`{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": %q, "annotations": {"kept": "yes"}},
		"spec": {"parentRefs": [{"name": "gateway"}], "hostnames": ["shop.example.com"], "rules": [{"backendRefs": %s}]}}`, name, backends)
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client.Resource(routes).Namespace(namespace).Create(t.Context(),
		&unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}

func (c *cluster) patch(t *testing.T, name, patch string, subresources ...string) {
	t.Helper()
	_, err := c.client.Resource(routes).Namespace(namespace).Patch(t.Context(), name, types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{}, subresources...)
	if err != nil {
		t.Fatal(err)
	}
}

// report sets the status that a controller would.
func (c *cluster) report(t *testing.T, name, accepted string, generation int64) {
	t.Helper()
	c.patch(t, name, fmt.Sprintf(`{"status": {"parents": [{"parentRef": {"name": "gateway"}, "controllerName": "example.com/test",
		"conditions": [{"type": "Accepted", "status": %q, "reason": "Test", "message": "said the test", "observedGeneration": %d, "lastTransitionTime": "2026-01-02T03:04:05Z"}]}]}}`,
		accepted, generation), "status")
}

func (c *cluster) get(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	route, err := c.client.Resource(routes).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return route
}

func (c *cluster) planner(route string) *gatewayapi.Planner {
	return gatewayapi.New(gatewayapi.Config{
		Namespace: namespace, Route: route, Kubeconfig: c.kubeconfig, Backends: map[string]string{"v1": "planner-v1",
			"v2": "planner-v2"},
	}, clock.System{})
}

const (
	weights = `[{"name": "planner-v1", "port": 80, "weight": 9}, {"name": "planner-v2", "port": 80, "weight": 1}]`
	mirror  = `[{"name": "idle", "port": 80, "weight": 0}, {"name": "planner-v1", "port": 80, "weight": 9}, {"name": "planner-v2", "port": 80, "weight": 1}]`
)

// odd are weights that people write into a route.
func (c *cluster) odd(route string) map[string]func(t *testing.T) {
	out := map[string]func(t *testing.T){}
	for name, refs := range map[string]string{
		"7 to 3":             `{"name": "planner-v1", "port": 80, "weight": 7}, {"name": "planner-v2", "port": 80, "weight": 3}`,
		"100 to 5":           `{"name": "planner-v1", "port": 80, "weight": 100}, {"name": "planner-v2", "port": 80, "weight": 5}`,
		"1 to 1":             `{"name": "planner-v1", "port": 80, "weight": 1}, {"name": "planner-v2", "port": 80, "weight": 1}`,
		"default weights":    `{"name": "planner-v1", "port": 80}, {"name": "planner-v2", "port": 80}`,
		"a million to 1":     `{"name": "planner-v1", "port": 80, "weight": 1000000}, {"name": "planner-v2", "port": 80, "weight": 1}`,
		"canary at 0":        `{"name": "planner-v1", "port": 80, "weight": 3}, {"name": "planner-v2", "port": 80, "weight": 0}`,
		"canary alone":       `{"name": "planner-v1", "port": 80, "weight": 0}, {"name": "planner-v2", "port": 80, "weight": 9}`,
		"an idle third":      mirror[1 : len(mirror)-1],
		"in the other order": `{"name": "planner-v2", "port": 80, "weight": 13}, {"name": "planner-v1", "port": 80, "weight": 97}`,
	} {
		out[name] = func(t *testing.T) {
			t.Helper()
			c.patch(t, route, `{"spec": {"rules": [{"backendRefs": [`+refs+`]}]}}`)
		}
	}
	return out
}

func TestAgainstARealAPIServer(t *testing.T) {
	c := start(t)
	t.Run("conformance", func(t *testing.T) {
		plannertest.Run(t, func(t *testing.T) plannertest.Backend {
			t.Helper()
			name := c.route(t, weights)
			return plannertest.Backend{
				Planner: c.planner(name), Second: c.planner(name),
				Foreign: func(t *testing.T, percent float64) {
					t.Helper()
					c.patch(t, name, fmt.Sprintf(`{"spec": {"rules": [{"backendRefs": [{"name": "planner-v1", "port": 80, "weight": %g}, {"name": "planner-v2", "port": 80, "weight": %g}]}]}}`,
						100-percent, percent))
				},
				Odd: c.odd(name),
			}
		})
	})
	t.Run("only the named weights change", func(t *testing.T) { onlyWeights(t, c) })
	t.Run("refused routes", func(t *testing.T) { refused(t, c) })
	t.Run("acceptance", func(t *testing.T) { acceptance(t, c) })
}

func shift(t *testing.T, p *gatewayapi.Planner, canary float64) error {
	t.Helper()
	now, err := p.Read(t.Context())
	if err != nil {
		return err
	}
	_, err = p.Set(t.Context(), planner.Change{Revision: now.Revision,
		Shares: map[string]float64{"v1": 100 - canary, "v2": canary}, By: planner.Execution(12)})
	return err
}

func onlyWeights(t *testing.T, c *cluster) {
	name := c.route(t, mirror)
	if err := shift(t, c.planner(name), 25); err != nil {
		t.Fatal(err)
	}
	after := c.get(t, name)
	text, err := json.Marshal(after.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"idle","port":80,"weight":0`, `"name":"planner-v1","port":80,"weight":7500`,
		`"name":"planner-v2","port":80,"weight":2500`, "shop.example.com"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the route lacks %s: %s", want, text)
		}
	}
	if got := after.GetAnnotations()["remediation.applylens.com/changed-by"]; got != planner.By+" execution 12" {
		t.Errorf("changed by %q", got)
	}
	if after.GetAnnotations()["kept"] != "yes" {
		t.Errorf("annotations %v", after.GetAnnotations())
	}
}

func refused(t *testing.T, c *cluster) {
	owned := c.route(t, weights)
	rollout := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": map[string]any{"name": "owner"},
		"spec": map[string]any{"strategy": map[string]any{"canary": map[string]any{"trafficRouting": map[string]any{
			"plugins": map[string]any{"argoproj-labs/gatewayAPI": map[string]any{"httpRoute": owned,
				"namespace": namespace}},
		}}}},
	}}
	if _, err := c.client.Resource(rollouts).Namespace(namespace).Create(t.Context(), rollout,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		route string
		want  error
		says  string
	}{
		"owned by a Rollout": {owned, planner.ErrOwned, "shop/owner"},
		"another backend": {c.route(t,
			`[{"name": "planner-v1", "port": 80}, {"name": "planner-v2", "port": 80}, {"name": "more", "port": 80}]`),
			planner.ErrMalformed, "also sends traffic to more"},
		"a backend missing": {c.route(t, `[{"name": "planner-v1", "port": 80}]`), planner.ErrMalformed,
			`no backend "planner-v2"`},
		"all weights 0": {c.route(t,
			`[{"name": "planner-v1", "port": 80, "weight": 0}, {"name": "planner-v2", "port": 80, "weight": 0}]`),
			planner.ErrMalformed, "No backend of the route has traffic"},
		"no route": {"nowhere", planner.ErrMalformed, "There is no such route"},
	} {
		before := ""
		if tt.route != "nowhere" {
			before = c.get(t, tt.route).GetResourceVersion()
		}
		if err := shift(t, c.planner(tt.route), 25); !errors.Is(err, tt.want) ||
			!strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
		if before != "" && c.get(t, tt.route).GetResourceVersion() != before {
			t.Errorf("%s: the route was touched", name)
		}
	}
}

// acceptance covers a slow controller and one that refuses.
func acceptance(t *testing.T, c *cluster) {
	slow := c.route(t, weights)
	c.report(t, slow, "True", 1)
	const delay = time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		for limit := time.Now().Add(upWithin); c.get(t, slow).GetGeneration() == 1 && time.Now().Before(limit); {
			time.Sleep(poll)
		}
		time.Sleep(delay)
		c.report(t, slow, "True", 2)
	}()
	began := time.Now()
	if err := shift(t, c.planner(slow), 25); err != nil || time.Since(began) < delay {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	<-done
	refusing := c.route(t, weights)
	c.report(t, refusing, "False", 2)
	if err := shift(t, c.planner(refusing), 25); !errors.Is(err, planner.ErrNotEffective) ||
		!strings.Contains(err.Error(), "said the test") {
		t.Errorf("a refusal: %v", err)
	}
}
