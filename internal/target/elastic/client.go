package elastic

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// Config configures the connection to a cluster.
type Config = elasticsearch.Config

// Cluster offers the operations that playbooks need in one Elasticsearch cluster. It is safe for use by several
// goroutines.
type Cluster struct {
	client *elasticsearch.Client
	clk    clock.Clock

	about  cached[about]
	names  cached[names]
	uuids  cached[map[string]string]
	sizes  cached[*knownSizes]
	detail indexCache
	// vectors is the answer of omitsVectors.
	vectors cached[bool]
}

// New returns a cluster. It does no I/O. Config.Check or the first call reports invalid settings.
func New(cfg Config, clk clock.Clock) *Cluster {
	return &Cluster{client: elasticsearch.New(cfg, clk), clk: clk}
}

// Client returns the connection to the cluster.
func (c *Cluster) Client() *elasticsearch.Client { return c.client }

// Name identifies the cluster in the names of targets: its first endpoint in alphabetical order, as host, port, and
// path.
func (c *Cluster) Name() string {
	endpoints := c.client.Config().Endpoints
	if len(endpoints) == 0 {
		return "elasticsearch"
	}
	hosts := make([]string, 0, len(endpoints))
	for _, e := range endpoints {
		if u, err := url.Parse(e); err == nil {
			hosts = append(hosts, u.Host+strings.TrimSuffix(u.Path, "/"))
		}
	}
	return "elasticsearch:" + slices.Min(append(hosts, "~"))
}

// UUID identifies the cluster regardless of its address. It is empty if the credentials lack the privilege to read it.
func (c *Cluster) UUID(ctx context.Context) (string, error) {
	a, err := c.describe(ctx)
	return a.UUID, err
}

// Serverless reports whether the cluster is a serverless one, which has no APIs to clear caches, to close and open
// indices, or to cancel tasks. It returns false if the credentials lack the privilege to find out.
func (c *Cluster) Serverless(ctx context.Context) (bool, error) {
	a, err := c.describe(ctx)
	return a.Version.Flavor == "serverless", err
}

// about is the answer to a request for the identity of the cluster.
type about struct {
	UUID    string `json:"cluster_uuid"`
	Version struct {
		Flavor string `json:"build_flavor"`
	}
}

func (c *Cluster) describe(ctx context.Context) (about, error) {
	return c.about.get(ctx, c.clk, func(ctx context.Context) (about, error) {
		var answer about
		err := c.get(ctx, "Read the identity of the cluster", esapi.InfoRequest{}, &answer)
		if errors.Is(err, ErrForbidden) {
			return about{}, nil
		}
		return answer, err
	})
}

// Target returns the name of the target for executions on an index, alias or pattern of the cluster.
func Target(cluster, name string) string { return cluster + "/" + name }

// Targets is Target for several names.
func Targets(cluster string, names ...string) []string {
	targets := make([]string, 0, len(names))
	for _, name := range names {
		targets = append(targets, Target(cluster, name))
	}
	return targets
}

// WithOrigin returns a context whose requests carry the name of the execution in X-Opaque-Id. Elasticsearch shows it in
// its task list and slow logs.
func WithOrigin(ctx context.Context, execution string) context.Context {
	return elasticsearch.WithOrigin(ctx, "remediation-"+execution)
}

// get sends a request that is safe to retry, and decodes the answer into out, unless out is nil.
func (c *Cluster) get(ctx context.Context, what string, request esapi.Request, out any) error {
	return c.client.Do(ctx, elasticsearch.Call{What: what, Request: request, Out: out})
}

// once is get for a request that must not be performed twice.
func (c *Cluster) once(ctx context.Context, what string, request esapi.Request, out any) error {
	return c.client.Do(ctx, elasticsearch.Call{What: what, Request: request, Out: out, Once: true})
}

// escaped returns names escaped for a path. esapi does not escape them.
func escaped(names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = url.PathEscape(n)
	}
	return out
}

// yes returns a pointer to true for esapi's optional booleans.
func yes() *bool { return esapi.BoolPtr(true) }
