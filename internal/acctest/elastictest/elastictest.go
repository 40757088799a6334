// Package elastictest gives tests a real Elasticsearch: the one that tools/setup-elasticsearch.sh unpacked, started as
// an unprivileged user on a free loopback port with everything that it writes in a temporary folder, and stopped by its
// process id.
//
// The test binaries of one run share a server; see SharedVariable. If a test binary runs alone, the first test that
// calls Shared starts one:
//
//	func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }
//
// If ELASTICSEARCH_ENDPOINTS is set, Shared returns the user's own cluster, with the credentials of the other
// ELASTICSEARCH_* variables. Tests may only use indices and synonym sets named by Server.Name. No test is skipped: a
// test without a server fails and says how to get one.
package elastictest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// State that the tests of one binary share. Go runs TestMain and the tests in the same process and offers no way to
// pass it on.
var (
	// ours is started by the first test that needs it.
	ours struct {
		sync.Mutex
		began  bool
		server *Server
		err    error
	}
	// theirs connects to the user's own cluster, if there is one.
	theirs elastic.Config
)

// Main runs the tests of a binary and then stops the shared server. Pass its result to os.Exit. It unsets the
// ELASTICSEARCH_* variables, because each test decides which ones the provider finds; see Server.Environment.
func Main(m *testing.M) int {
	theirs = elastic.Config{}.WithEnvironment(os.Getenv)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "ELASTICSEARCH_") {
			_ = os.Unsetenv(name) // it fails only for invalid names
		}
	}
	code := m.Run()
	ours.Lock()
	defer ours.Unlock()
	if ours.server != nil {
		ours.server.stop()
	}
	return code
}

// Shared returns the shared server, which has no security, or the user's own cluster.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	if !theirs.Configured() {
		return WithFiles(tb)
	}
	if err := theirs.Check(); err != nil {
		tb.Fatal(err)
	}
	return &Server{Config: theirs}
}

// WithFiles returns the shared server, whose Home is writable. It never returns the user's own cluster.
func WithFiles(tb testing.TB) *Server {
	tb.Helper()
	ours.Lock()
	defer ours.Unlock()
	if !ours.began {
		ours.began = true
		if file := os.Getenv(SharedVariable); file != "" {
			ours.server, ours.err = join(file)
		} else {
			ours.server, ours.err = start(false, alone())
		}
	}
	if ours.err != nil {
		tb.Fatal(ours.err)
	}
	return ours.server
}

// Own starts a server for a test that would disturb others, for example with a crash. It never uses the user's cluster.
func Own(tb testing.TB) *Server { return own(tb, false, alone()) }

// Secure starts a server with security enabled. Config contains the credentials of a superuser. See User and APIKey for
// others.
func Secure(tb testing.TB) *Server { return own(tb, true, alone()) }

func own(tb testing.TB, secure bool, cluster []string) *Server {
	tb.Helper()
	s, err := start(secure, cluster)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.stop)
	return s
}

// Server is a running Elasticsearch.
type Server struct {
	// Config connects to it.
	Config elastic.Config
	// Home is its configuration folder, for synonym files. It is empty for the user's own cluster.
	Home string

	stop    func()
	process *process
	launch  func() (*process, error)
}

// URL is the address of the server without a trailing slash.
func (s *Server) URL() string { return strings.TrimSuffix(s.Config.Endpoints[0], "/") }

// Environment returns the variables that configure a provider for the server at endpoint, which is URL or a proxy in
// front of it.
func (s *Server) Environment(endpoint string) []string {
	c := s.Config
	env := []string{"ELASTICSEARCH_ENDPOINTS=" + endpoint, "ELASTICSEARCH_INSECURE=" + strconv.FormatBool(c.Insecure)}
	for name, value := range map[string]string{
		"USERNAME": c.Username, "PASSWORD": c.Password, "API_KEY": c.APIKey, "BEARER_TOKEN": c.BearerToken,
		"ES_CLIENT_AUTHENTICATION": c.ESClientAuthentication, "CA_FILE": c.CAFile,
	} {
		if value != "" {
			env = append(env, "ELASTICSEARCH_"+name+"="+value)
		}
	}
	return env
}

// At returns Config for a proxy in front of the server.
func (s *Server) At(endpoint string) elastic.Config {
	c := s.Config
	c.Endpoints = []string{endpoint}
	return c
}

// Name returns a name for an index, alias or synonym set that no other test uses. At the end, it removes every index
// with the name as a prefix.
func (s *Server) Name(tb testing.TB, base string) string {
	tb.Helper()
	return s.Prefix(tb, fmt.Sprintf("remediation-test-%s-%x", base, time.Now().UnixNano()))
}

// Prefix returns name. At the end of the test, it removes every index with the name as a prefix.
func (s *Server) Prefix(tb testing.TB, name string) string {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), answerTimeout)
		defer cancel()
		names := struct {
			Indices []struct{ Name string }
		}{}
		if _, err := s.call(ctx, http.MethodGet, "/_resolve/index/"+name+"*?expand_wildcards=all", nil,
			&names); err != nil {
			tb.Errorf("list the indices that the test left behind: %v", err)
		}
		for _, index := range names.Indices {
			if _, err := s.call(ctx, http.MethodDelete, "/"+index.Name, nil, nil); err != nil {
				tb.Errorf("remove the indices that the test left behind: %v", err)
			}
		}
	})
	return name
}

// answerTimeout bounds one request of a test.
const answerTimeout = 2 * time.Minute

// Do sends a request as the server's superuser and decodes the answer into out, unless out is nil. body is a string or
// bytes to send unchanged, nil, or a value to encode as JSON. Any status other than 2xx fails the test.
func (s *Server) Do(tb testing.TB, method, path string, body, out any) {
	tb.Helper()
	if status, err := s.Try(tb, method, path, body, out); err != nil || status/100 != 2 {
		tb.Fatalf("%s %s: status %d, %v", method, path, status, err)
	}
}

// Try is Do for requests that may fail. It returns the status, and the body as an error if the status is not 2xx.
func (s *Server) Try(tb testing.TB, method, path string, body, out any) (int, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), answerTimeout)
	defer cancel()
	return s.call(ctx, method, path, body, out)
}

// Call is Try for goroutines without a test.
func (s *Server) Call(ctx context.Context, method, path string, body, out any) (int, error) {
	return s.call(ctx, method, path, body, out)
}

func (s *Server) call(ctx context.Context, method, path string, body, out any) (int, error) {
	var payload io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	case []byte:
		payload = bytes.NewReader(b)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL()+path, payload)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.Config.Username != "" {
		req.SetBasicAuth(s.Config.Username, s.Config.Password)
	}
	if s.Config.APIKey != "" {
		req.Header.Set("Authorization", "ApiKey "+s.Config.APIKey)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, err
	}
	if res.StatusCode/100 != 2 {
		return res.StatusCode, fmt.Errorf("%s", text)
	}
	if out == nil {
		return res.StatusCode, nil
	}
	return res.StatusCode, json.Unmarshal(text, out)
}
