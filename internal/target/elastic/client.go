package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	elasticsearch "github.com/elastic/go-elasticsearch/v8"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

const (
	// requestPatience bounds one request with its retries, unless the caller's context ends earlier. It is longer than
	// the 30 s that Elasticsearch itself waits for its master and for acknowledgements.
	requestPatience = 2 * time.Minute
	// connectPatience bounds the making of one connection, so that a dead node does not eat the patience for all.
	connectPatience = 10 * time.Second
	// maxAnswer is the longest answer that is taken, in bytes: the mappings of some thousands of indices.
	maxAnswer = 32 << mebibyte
	mebibyte  = 20
	// retries is how often an idempotent request is sent again.
	retries = 3
	// firstBackoff doubles with every retry, with up to as much again by chance, so that many clients do not come back
	// at once.
	firstBackoff = 200 * time.Millisecond
)

// Cluster is a client of one Elasticsearch cluster. It is safe for use by several goroutines.
type Cluster struct {
	cfg     Config
	clk     clock.Clock
	secrets *redact.Redactor
	// clients connects on first use: a provider may have no cluster at all.
	clients func() (clients, error)

	names  cached[names]
	sizes  cached[map[string]CacheSizes]
	detail indexCache
}

// clients are the same connection with two manners.
type clients struct {
	// repeating sends a request again after 429, 502, 503 and 504 and after a lost connection. Only for what may happen
	// twice.
	repeating *elasticsearch.BaseClient
	// once goes to another endpoint only where none was reached at all.
	once *elasticsearch.BaseClient
	// plain does so too, and without a pause: its caller has a patience of its own.
	plain *elasticsearch.BaseClient
}

// New returns a client. It does no I/O; settings that can't work are told by Config.Check, or by the first call.
func New(cfg Config, clk clock.Clock) *Cluster {
	c := &Cluster{cfg: cfg, clk: clk, secrets: cfg.Secrets()}
	c.clients = sync.OnceValues(c.connect)
	return c
}

// Name is the cluster as the names of targets have it: its first endpoint, by host and port.
func (c *Cluster) Name() string {
	if len(c.cfg.Endpoints) == 0 {
		return "elasticsearch"
	}
	hosts := make([]string, 0, len(c.cfg.Endpoints))
	for _, e := range c.cfg.Endpoints {
		if u, err := url.Parse(e); err == nil {
			hosts = append(hosts, u.Host+strings.TrimSuffix(u.Path, "/"))
		}
	}
	// The order in which endpoints are written says nothing.
	return "elasticsearch:" + slices.Min(append(hosts, "~"))
}

// Target is the name of a cluster's index, alias or pattern as a target of executions.
func Target(cluster, name string) string { return cluster + "/" + name }

// Targets is Target for several.
func Targets(cluster string, names ...string) []string {
	targets := make([]string, 0, len(names))
	for _, name := range names {
		targets = append(targets, Target(cluster, name))
	}
	return targets
}

func (c *Cluster) connect() (clients, error) {
	if !c.cfg.Configured() {
		return clients{}, &problem.Problem{
			What: "No Elasticsearch is configured", Why: "The provider has no elasticsearch block with endpoints, " +
				"and ELASTICSEARCH_ENDPOINTS is not set.",
			Next: "Set elasticsearch.endpoints in the provider block.", Path: []string{"elasticsearch",
				"endpoints"}, Err: ErrConfiguration,
		}
	}
	if err := c.cfg.Check(); err != nil {
		return clients{}, err
	}
	secure, err := c.cfg.tls()
	if err != nil {
		return clients{}, err
	}
	const idle = 16
	var transport http.RoundTripper = &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: idle,
		DialContext: (&net.Dialer{Timeout: connectPatience}).DialContext, TLSHandshakeTimeout: connectPatience,
		IdleConnTimeout: time.Minute,
	}
	if c.cfg.Transport != nil {
		transport = c.cfg.Transport(transport)
	}
	shared := elasticsearch.Config{
		Addresses: c.cfg.Endpoints, Username: c.cfg.Username, Password: c.cfg.Password, APIKey: c.cfg.APIKey,
		Header:    c.cfg.header(),
		Transport: transport, MaxRetries: retries, RetryBackoff: backoff,
	}
	repeating, once := shared, shared
	repeating.RetryOnStatus = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout}
	repeating.RetryOnError = func(req *http.Request, err error) bool {
		return req.Context().Err() == nil &&
			!trust(err)
	}
	// No status at all is one: an empty list would mean the library's own.
	once.RetryOnStatus = []int{math.MaxInt}
	once.RetryOnError = func(req *http.Request, err error) bool { return req.Context().Err() == nil && neverSent(err) }
	plain := once
	plain.MaxRetries, plain.DisableRetry, plain.RetryBackoff = len(c.cfg.Endpoints)-1, len(c.cfg.Endpoints) == 1, nil
	out := clients{}
	if out.plain, err = elasticsearch.NewBaseClient(plain); err != nil {
		return clients{}, c.transportProblem("Connect to Elasticsearch", err)
	}
	if out.repeating, err = elasticsearch.NewBaseClient(repeating); err != nil {
		return clients{}, c.transportProblem("Connect to Elasticsearch", err)
	}
	if out.once, err = elasticsearch.NewBaseClient(once); err != nil {
		return clients{}, c.transportProblem("Connect to Elasticsearch", err)
	}
	return out, nil
}

func backoff(attempt int) time.Duration {
	wait := firstBackoff << (attempt - 1)
	return wait + rand.N(wait) //nolint:gosec // spreads load, hides nothing
}

// neverSent tells whether no connection was made, so that no server has seen the request.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// trust tells whether err is about certificates, which trying again does not mend.
func trust(err error) bool {
	return strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ")
}

// performer is a request of the typed API.
type performer interface {
	Perform(ctx context.Context) (*http.Response, error)
}

// call names an operation and says how its request is made.
type call struct {
	// what names the operation for people, in the imperative: "Clear the caches of knowledge_base".
	what string
	// once keeps a request that must not happen twice from being sent again.
	once bool
	// patience is for requests that the server lets wait. Zero: requestPatience.
	patience time.Duration
	// request builds it.
	request func(on *elasticsearch.BaseClient) performer
}

// do sends the request and decodes the answer into out, unless that is nil. Answers are decoded into types of this
// package that name what is needed: a newer server's additions then can't break it.
func (c *Cluster) do(ctx context.Context, what call, out any) error {
	on, err := c.clients()
	if err != nil {
		return err
	}
	client := on.repeating
	if what.once {
		client = on.once
	}
	patience := what.patience
	if patience == 0 {
		patience = requestPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := what.request(client).Perform(ctx)
	if err != nil {
		return c.transportProblem(what.what, err)
	}
	defer res.Body.Close()
	const success = 2
	if res.StatusCode/100 != success {
		said := c.responseError(res)
		if said.Type == "" && res.Header.Get("X-Elastic-Product") == "" && said.Status != http.StatusUnauthorized &&
			said.Status != http.StatusForbidden {
			return c.stranger(what.what, said)
		}
		return c.toProblem(what.what, said)
	}
	answer := &bounded{Reader: res.Body, left: maxAnswer}
	if out == nil {
		_, err = io.Copy(io.Discard, answer)
	} else {
		err = json.NewDecoder(answer).Decode(out)
	}
	if err != nil {
		return c.transportProblem(what.what, fmt.Errorf("read the answer: %w", err))
	}
	return nil
}

// bounded is a reader with an end, past which it fails rather than pretend that all was read.
type bounded struct {
	io.Reader
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("it is longer than %d MiB", maxAnswer>>mebibyte)
	}
	n, err := b.Reader.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// stranger is for answers that do not look like Elasticsearch's: a proxy in front of it, or something else altogether.
func (c *Cluster) stranger(what string, said *ResponseError) error {
	p := &problem.Problem{What: what + " failed", Why: "Something that is not Elasticsearch answered: " + said.Error() +
		"."}
	switch said.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		p.Next, p.Err = "A proxy in front of the cluster refuses for now. Look at the cluster's health and try again "+
			"later.", errors.Join(ErrTimeout, said)
	default:
		p.Next, p.Err = "Check elasticsearch.endpoints.", errors.Join(ErrNotElasticsearch, said)
	}
	return p
}

// raw is a request that the typed API has not, or not with this parameter.
type raw struct {
	on     *elasticsearch.BaseClient
	method string
	path   string
	query  url.Values
	body   any
}

// Perform implements performer.
func (r raw) Perform(ctx context.Context) (*http.Response, error) {
	text := []byte(nil)
	if r.body != nil {
		var err error
		if text, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	u := url.URL{Path: r.path, RawQuery: r.query.Encode()}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return r.on.Perform(req)
}

// body encodes a value for the typed API's Raw. The values of this package can be encoded.
func body(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		return errorReader{err}
	}
	return bytes.NewReader(text)
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// shards is how a request fared on the shards that it went to.
type shards struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
	Failures   []struct {
		Index  string          `json:"index"`
		Shard  int             `json:"shard"`
		Reason json.RawMessage `json:"reason"`
	} `json:"failures"`
}

// check makes failed shards an error: the server answers 200 all the same.
func (s shards) check(what string) error {
	if s.Failed == 0 {
		return nil
	}
	why := fmt.Sprintf("It failed on %d of %d shards", s.Failed, s.Total)
	for _, f := range s.Failures {
		var reason struct{ Type, Reason string }
		if json.Unmarshal(f.Reason, &reason) == nil {
			why += fmt.Sprintf("; %s shard %d: %s: %s", f.Index, f.Shard, reason.Type, reason.Reason)
		}
	}
	return &problem.Problem{What: what + " failed", Why: why + ".",
		Next: "Look at the health of these indices, then apply again.", Err: ErrShards}
}
