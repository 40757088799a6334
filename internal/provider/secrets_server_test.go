package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

// indiscreet represents all systems that take credentials. If blurts is set, it refuses everything and repeats what it
// received in many spellings.
type indiscreet struct {
	*httptest.Server
	blurts atomic.Bool

	mu   sync.Mutex
	sent strings.Builder // all credentials that were seen
}

func newIndiscreet(t *testing.T, secure bool) *indiscreet {
	t.Helper()
	s := &indiscreet{}
	s.Server = httptest.NewUnstartedServer(s.listen(s.routes()))
	if secure {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// saw reports whether the credential was sent.
func (s *indiscreet) saw(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.sent.String(), secret)
}

func (s *indiscreet) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := credentials(r.Header)
		if strings.HasPrefix(r.URL.Path, "/hooks") { // the address is the credential
			said += r.URL.Query().Get("key")
		}
		s.mu.Lock()
		s.sent.WriteString(said)
		s.mu.Unlock()
		if s.blurts.Load() {
			blurt(w, r, said)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// credentials are the values of headers with credentials, in many spellings.
func credentials(h http.Header) string {
	var b strings.Builder
	for name, all := range h {
		switch name {
		case "Authorization", "Private-Token", "Es-Client-Authentication", "X-Canary":
		default:
			continue
		}
		for _, v := range all {
			_, bare, ok := strings.Cut(v, " ")
			if !ok {
				bare = v
			}
			fmt.Fprintf(&b, "%s: %s ", name, v)
			if basic, err := base64.StdEncoding.DecodeString(bare); err == nil {
				fmt.Fprintf(&b, "(%s) ", basic)
			}
			for _, text := range []string{v, bare} {
				fmt.Fprintf(&b, "%s %s %s %s %q ", base64.StdEncoding.EncodeToString([]byte(text)),
					base64.RawURLEncoding.EncodeToString([]byte(text)),
					url.QueryEscape(text), url.PathEscape(text), text)
			}
		}
	}
	return b.String()
}

func blurt(w http.ResponseWriter, r *http.Request, said string) {
	text, _ := json.Marshal("who are you? " + said)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasPrefix(r.URL.Path, "/prometheus"):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"status": "error", "errorType": "unauthorized", "error": %s}`, text)
	case strings.HasPrefix(r.URL.Path, "/elasticsearch-plain"):
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you? "+said)
	case strings.HasPrefix(r.URL.Path, "/elasticsearch"):
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error": {"type": "security_exception", "reason": %s, "caused_by": {"reason": %[1]s}}, "status": 401}`, text)
	case strings.HasPrefix(r.URL.Path, "/forge"):
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you? "+said)
	default:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"message": %s}`, text)
	}
}

func (s *indiscreet) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/control/", http.StripPrefix("/control", controlapi.New().Handler()))
	mux.Handle("/control-notify/", http.StripPrefix("/control-notify", controlapi.New().Handler()))
	mux.HandleFunc("/hooks", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/prometheus/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status": "success", "data": {"resultType": "scalar", "result": [0, "0.5"]}}`)
	})
	service := incidenttest.New(incidenttest.Observed)
	service.AnyToken = true
	for _, id := range []string{"25", "40", "50"} {
		service.Put(id, incidenttest.Incident{Status: "open"})
	}
	mux.Handle("/incident-service/", http.StripPrefix("/incident-service", service))
	pull := fmt.Sprintf(`{"user": {"login": "author"}, "state": "open", "head": {"sha": %q}}`, headOfPull)
	mux.HandleFunc("/forge/repos/acme/search/pulls/12", func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = io.WriteString(w, pull)
	})
	mux.HandleFunc("/forge/repos/acme/search/pulls/12/commits", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "[]")
	})
	mux.HandleFunc("/forge/repos/acme/search/pulls/12/reviews", func(w http.ResponseWriter, r *http.Request) {
		var all []string
		for id, name := range []string{"lead-25", "lead-40", "lead-50"} {
			all = append(all, fmt.Sprintf(`{"id": %d, "user": {"login": %q}, "state": "APPROVED", "commit_id": %q, `+
				`"submitted_at": "2026-01-01T00:00:00Z"}`, id+1, name, headOfPull))
		}
		reviews := "[" + strings.Join(all, ", ") + "]"
		if r.URL.Query().Get("page") != "1" {
			reviews = "[]"
		}
		_, _ = io.WriteString(w, reviews)
	})
	var percent atomic.Int64
	percent.Store(10)
	mux.HandleFunc("/guard/guard/", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Percent *int64 `json:"canary_pct"`
		}
		if json.NewDecoder(r.Body).Decode(&body) == nil && body.Percent != nil {
			percent.Store(*body.Percent)
		}
		_, _ = fmt.Fprintf(w, `{"success": true, "config": {"canary_pct": %d, "kill_switch": false}, "evaluation": {"action": "none", "breaches": []}}`, percent.Load())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		answer := `{"indices": [{"name": "kb", "attributes": ["open"]}], "aliases": [], "data_streams": [], "_shards": {"failed": 0, "total": 1, "successful": 1}}`
		if strings.Contains(r.URL.Path, "_settings") {
			answer = `{"kb": {"settings": {"index": {"uuid": "bJ4Vt2c8Q0mQkY5x7pQ1Zw"}}}}`
		}
		if strings.Contains(r.URL.Path, "_stats") {
			answer = `{"indices": {"kb": {"total": {"query_cache": {"memory_size_in_bytes": 7}}}}, "_shards": {"failed": 0}}`
		}
		_, _ = io.WriteString(w, answer)
	})
	return mux
}

const headOfPull = "6dcb09b5b57875f334f61aebed695e2e4193db5e"

// clientKey is a client certificate and its key, both as PEM text.
func clientKey(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "canary"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("CERTIFICATE", cert), block("PRIVATE KEY", text)
}
