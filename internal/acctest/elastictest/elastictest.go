// Package elastictest gives tests a real Elasticsearch: the one that tools/setup-elasticsearch.sh unpacked, started as an unprivileged user on a free loopback
// port with everything that it writes in a temporary folder, and stopped by its process id.
//
// A test binary has one shared server, which the first test to call Shared starts:
//
//	func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }
//
// Where ELASTICSEARCH_ENDPOINTS is set, Shared is the user's own cluster instead, with the credentials of the other ELASTICSEARCH_* variables. Tests must keep
// to indices named by Server.Name, and to sets of synonyms likewise. Nothing here ever skips: a test without a server fails and says how to get one.
package elastictest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// shared is what the tests of one binary have in common. Go runs TestMain and tests in the same process, and there is nobody to pass it on.
var shared struct {
	sync.Mutex
	server *Server
	err    error
	began  bool
}

// Main runs the tests of a binary and then stops the shared server. Give its result to os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.stop()
	}
	return code
}

// Shared returns the binary's server, or the user's own cluster. Security is off on the former.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.began {
		shared.began = true
		shared.server, shared.err = sharedServer()
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

func sharedServer() (*Server, error) {
	if os.Getenv("ELASTICSEARCH_ENDPOINTS") == "" {
		return start(false)
	}
	cfg := elastic.Config{}.WithEnvironment(os.Getenv)
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Server{Config: cfg}, nil
}

// Own starts a server of the test's own, for what would disturb others: files of synonyms, crashes. It never is the user's cluster.
func Own(tb testing.TB) *Server { return own(tb, false) }

// Secure starts a server with security on. Config holds the credentials of a superuser; see User and APIKey for others.
func Secure(tb testing.TB) *Server { return own(tb, true) }

func own(tb testing.TB, secure bool) *Server {
	tb.Helper()
	s, err := start(secure)
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
	// Home is its configuration folder, for files of synonyms. Empty for the user's own cluster.
	Home string

	stop    func()
	process *process
	launch  func() (*process, error)
}

// URL is the address of the server without a slash at the end.
func (s *Server) URL() string { return strings.TrimSuffix(s.Config.Endpoints[0], "/") }

// Name returns a name for an index, alias or set of synonyms that no other test uses, and removes every index whose name begins with it at the end.
func (s *Server) Name(tb testing.TB, base string) string {
	tb.Helper()
	name := fmt.Sprintf("remediation-test-%s-%x", base, time.Now().UnixNano())
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), answerPatience)
		defer cancel()
		names := struct {
			Indices []struct{ Name string }
		}{}
		if _, err := s.call(ctx, http.MethodGet, "/_resolve/index/"+name+"*?expand_wildcards=all", nil, &names); err != nil {
			tb.Errorf("list what the test left: %v", err)
		}
		for _, index := range names.Indices {
			if _, err := s.call(ctx, http.MethodDelete, "/"+index.Name, nil, nil); err != nil {
				tb.Errorf("remove what the test left: %v", err)
			}
		}
	})
	return name
}

// answerPatience bounds one request of a test.
const answerPatience = 2 * time.Minute

// Do sends a request as the server's superuser and decodes the answer into out, unless that is nil. body is a string or bytes as they are, nil, or a value to
// encode as JSON. Anything but 2xx fails the test.
func (s *Server) Do(tb testing.TB, method, path string, body, out any) {
	tb.Helper()
	if status, err := s.Try(tb, method, path, body, out); err != nil || status/100 != 2 {
		tb.Fatalf("%s %s: status %d, %v", method, path, status, err)
	}
}

// Try is Do for requests that may fail: it returns the status, and the body as an error where that is not 2xx.
func (s *Server) Try(tb testing.TB, method, path string, body, out any) (int, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), answerPatience)
	defer cancel()
	return s.call(ctx, method, path, body, out)
}

// Call is Try for goroutines that have no test at hand.
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
