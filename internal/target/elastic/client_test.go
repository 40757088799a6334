package elastic_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// nobody is an address at which no other test of this machine can listen.
const nobody = "http://127.0.0.1:1"

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

func connect(cfg elastic.Config) *elastic.Cluster { return elastic.New(cfg, clock.System{}) }

func TestEnvironmentFillsWhatIsNotSet(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"ELASTICSEARCH_ENDPOINTS": "https://a:9200, " +
			"https://b:9200", "ELASTICSEARCH_API_KEY": "from-environment", "ELASTICSEARCH_USERNAME": "u",
		"ELASTICSEARCH_PASSWORD": "pw-from-env", "ELASTICSEARCH_INSECURE": "true", "ELASTICSEARCH_CA_FILE": "/ca.pem",
	}
	getenv := func(name string) string { return env[name] }
	got := elastic.Config{}.WithEnvironment(getenv)
	want := elastic.Config{
		Endpoints: []string{"https://a:9200",
			"https://b:9200"}, APIKey: "from-environment", Username: "u", Password: "pw-from-env", Insecure: true,
		CAFile: "/ca.pem",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from the environment (-want +got):\n%s", diff)
	}
	configured := elastic.Config{Endpoints: []string{"http://c"}, Username: "me",
		Password: "mine"}.WithEnvironment(getenv)
	if configured.APIKey != "" || configured.Username != "me" || configured.Password != "mine" ||
		configured.Endpoints[0] != "http://c" {
		t.Errorf("the environment took over: %+v", configured)
	}
}

func TestCheckNamesTheAttribute(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for attribute, cfg := range map[string]elastic.Config{
		"endpoints[0]": {Endpoints: []string{"localhost:9200"}},
		"api_key":      {Username: "u", Password: "p", APIKey: "k"},
		"bearer_token": {APIKey: "k", BearerToken: "b"},
		"username":     {Password: "p"},
		"ca_file":      {CAFile: filepath.Join(t.TempDir(), "missing.pem")},
		"ca_data":      {CAData: "no certificate"},
		"cert_data":    {CertData: "x", KeyData: "y"},
		"key_file":     {CertData: "x", KeyFile: filepath.Join(t.TempDir(), "missing.pem")},
	} {
		err := cfg.Check()
		if p := problem.Of(err, ""); !errors.Is(err, elastic.ErrConfiguration) ||
			problem.Where(p.Path) != "elasticsearch."+attribute {
			t.Errorf("%s: %v at %v", attribute, err, p.Path)
		}
	}
	if err := (elastic.Config{}).Check(); err != nil {
		t.Errorf("no cluster at all: %v", err)
	}
	if _, err := connect(elastic.Config{}).Resolve(t.Context(), "kb", false); !errors.Is(err,
		elastic.ErrConfiguration) {
		t.Errorf("a call without a cluster: %v", err)
	}
}

// scripted answers with each status in turn, and then like an Elasticsearch without indices.
func scripted(t *testing.T, statuses ...int) (elastic.Config, *atomic.Int64) {
	t.Helper()
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(count.Add(1))
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		if n <= len(statuses) {
			w.WriteHeader(statuses[n-1])
			_, _ = fmt.Fprint(w, `{"error":{"type":"some_exception","reason":"the test says so"}}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"indices":[{"name":"kb","attributes":["open"]}],"aliases":[],"data_streams":[],"_shards":{"failed":0},"acknowledged":true}`)
	}))
	t.Cleanup(server.Close)
	return elastic.Config{Endpoints: []string{server.URL}}, &count
}

func TestOnlyIdempotentRequestsAreRetried(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout} {
		cfg, count := scripted(t, status, status)
		if _, err := connect(cfg).Resolve(t.Context(), "kb", false); err != nil || count.Load() != 3 {
			t.Errorf("a read after %d: %d requests, %v", status, count.Load(), err)
		}
		cfg, count = scripted(t, status, status)
		if err := connect(cfg).CreateIndex(t.Context(), "kb", map[string]any{}); err == nil || count.Load() != 1 {
			t.Errorf("a write after %d: %d requests, %v", status, count.Load(), err)
		}
	}
	cfg, count := scripted(t, http.StatusInternalServerError)
	if _, err := connect(cfg).Resolve(t.Context(), "kb", false); !errors.Is(err, elastic.ErrRequest) ||
		count.Load() != 1 {
		t.Errorf("a read after 500: %d requests, %v", count.Load(), err)
	}
	// No server received the request if nobody listens at the endpoint. Even a write therefore goes on to the next.
	cfg, count = scripted(t)
	cfg.Endpoints = append([]string{nobody}, cfg.Endpoints...)
	if err := connect(cfg).CreateIndex(t.Context(), "kb", map[string]any{}); err != nil || count.Load() != 1 {
		t.Errorf("a write past a dead endpoint: %d requests, %v", count.Load(), err)
	}
}

func TestServerErrors(t *testing.T) {
	t.Parallel()
	other := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct {
		endpoint string
		want     error
	}{
		"another product": {other(http.StatusOK, `{"version":{"distribution":"opensearch"}}`),
			elastic.ErrNotElasticsearch},
		"a web site":             {other(http.StatusNotFound, "<html>not here</html>"), elastic.ErrNotElasticsearch},
		"nobody":                 {nobody, elastic.ErrUnreachable},
		"an unknown authority":   {secure.URL, elastic.ErrTLS},
		"http where https is":    {strings.Replace(secure.URL, "https", "http", 1), elastic.ErrNotElasticsearch},
		"https where http is":    {strings.Replace(other(http.StatusOK, "{}"), "http", "https", 1), elastic.ErrTLS},
		"a proxy with no server": {other(http.StatusBadGateway, "<html>bad gateway</html>"), elastic.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := connect(elastic.Config{Endpoints: []string{c.endpoint}}).Resolve(t.Context(), "kb", false)
			if p := problem.Of(err, ""); !errors.Is(err, c.want) || p.Next == "" {
				t.Errorf("error %v, want %v with advice", err, c.want)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	ctx, done := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer done()
	if _, err := connect(elastic.Config{Endpoints: []string{server.URL}}).Resolve(ctx, "kb", false); !errors.Is(err,
		elastic.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect(elastic.Config{Endpoints: []string{server.URL}}).Resolve(cancelled, "kb",
		false); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	s := elastictest.Secure(t)
	index := s.Name(t, "secure")
	s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0}}`, nil)
	reader := map[string]any{"cluster": []string{"monitor"},
		"indices": []map[string]any{{"names": []string{index + "*"},
			"privileges": []string{"read", "view_index_metadata", "monitor"}}}}
	manager := map[string]any{"cluster": []string{"monitor"},
		"indices": []map[string]any{{"names": []string{index + "*"}, "privileges": []string{"manage", "read"}}}}

	for name, cfg := range map[string]elastic.Config{"user": s.User(t, "manager", manager),
		"API key": s.APIKey(t, "manager", manager)} {
		cluster := connect(cfg)
		if found, err := cluster.Resolve(t.Context(), index, false); err != nil ||
			!slices.Equal(found.Indices, []string{index}) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if err := cluster.ClearCaches(t.Context(), []string{index}, elastic.Caches{Request: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, cfg := range map[string]elastic.Config{"user": s.User(t, "reader", reader),
		"API key": s.APIKey(t, "reader", reader)} {
		cluster := connect(cfg)
		calls := map[string]error{
			"clear": cluster.ClearCaches(t.Context(), []string{index}, elastic.Caches{Request: true}),
			"close": cluster.Close(t.Context(), index),
		}
		_, calls["preview"] = cluster.PreviewReload(t.Context(), []string{index}, "")
		for call, err := range calls {
			p := problem.Of(err, "")
			if !errors.Is(err, elastic.ErrForbidden) || !strings.Contains(p.Next,
				"The missing index privilege is manage") {
				t.Errorf("%s, %s: %v, want ErrForbidden that names manage", name, call, err)
			}
		}
		// Sizes can be read, so a preview works.
		if _, err := cluster.KnownCacheSizes(t.Context(), []string{index}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const secret = "a-wrong-secret"
	for name, cfg := range map[string]elastic.Config{"password": {Username: "reader", Password: secret},
		"API key": {APIKey: secret}, "token": {BearerToken: secret}} {
		cfg.Endpoints = s.Config.Endpoints
		_, err := connect(cfg).Resolve(t.Context(), index, false)
		if !errors.Is(err, elastic.ErrCredentials) {
			t.Errorf("wrong %s: %v, want ErrCredentials", name, err)
		}
		if strings.Contains(fmt.Sprintf("%+v", err)+problem.Of(err, "").Detail(), secret) {
			t.Errorf("wrong %s: the error holds the secret", name)
		}
	}
	// A real server with TLS: with its certificate authority, and with verification disabled.
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if to, err := url.Parse(s.URL()); err == nil {
			r.SetURL(to)
		}
	}})
	front.StartTLS()
	t.Cleanup(front.Close)
	tls := s.Config
	tls.Endpoints = []string{front.URL}
	tls.CAData = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
	if _, err := connect(tls).Resolve(t.Context(), index, false); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	tls.CAData, tls.Insecure = "", true
	if _, err := connect(tls).Resolve(t.Context(), index, false); err != nil {
		t.Errorf("insecure: %v", err)
	}
}
