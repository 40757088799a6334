package synonyms_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// lost is the answer of a proxy that got none.
func lost(r *http.Request) *http.Response {
	return &http.Response{StatusCode: http.StatusBadGateway, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}},
		Body:   io.NopCloser(strings.NewReader(`{"error":{"type":"bad_gateway"},"status":502}`))}
}

// TestLostAnswerToARestore loses the answer to the request that moves the alias back.
func TestLostAnswerToARestore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		// made reports whether the cluster gets the request, and silent whether it answers none of the later ones.
		made, silent bool
		failed       bool
		uncertain    bool
	}{
		"made":                       {made: true},
		"not made":                   {failed: true},
		"made, and nobody can look":  {made: true, silent: true, failed: true, uncertain: true},
		"not made and nobody looked": {silent: true, failed: true, uncertain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			kept, made := f.makeIndex(t, "v1", "from_file_fixed", true), f.makeIndex(t, "v2", "from_file_fixed", true)
			alias := f.base + "-alias"
			f.alias(t, alias, made)
			f.Do(t, http.MethodPut, "/"+kept+"/_block/write", nil, nil)
			var sent atomic.Int32
			cfg := f.Config
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					moves := r.URL.Path == "/_aliases"
					if sent.Load() > 0 && tt.silent {
						return lost(r), nil
					}
					if !moves {
						return next.RoundTrip(r)
					}
					sent.Add(1)
					if tt.made {
						res, err := next.RoundTrip(r)
						if err != nil {
							return nil, err
						}
						_ = res.Body.Close()
					}
					return lost(r), nil
				})
			}
			out, err := run(t, f.bind(t, cfg, map[string]any{"index_name": alias, "synonym_filter": "from_file_fixed",
				"restore_index": kept}), &journal{})
			if (err != nil) != tt.failed || errors.Is(err, playbook.ErrUncertain) != tt.uncertain || sent.Load() != 1 {
				t.Errorf("%+v, %v after %d requests", out, err, sent.Load())
			}
			if tt.uncertain && !strings.Contains(err.Error(), "look at GET /"+made+","+kept+"/_alias") {
				t.Errorf("the error does not say where to look: %v", err)
			}
			want := made
			if tt.made {
				want = kept
			}
			var found map[string]any
			f.Do(t, http.MethodGet, "/_alias/"+alias, nil, &found)
			if _, ok := found[want]; !ok || len(found) != 1 {
				t.Errorf("%s stands for %v, want %s", alias, found, want)
			}
		})
	}
}

// TestIdentityThatCannotBeReadIsAnError: without it, the digest of a restore would be another one.
func TestIdentityThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	kept, made := f.makeIndex(t, "v1", "from_file_fixed", true), f.makeIndex(t, "v2", "from_file_fixed", true)
	alias := f.base + "-alias"
	f.alias(t, alias, made)
	for _, busy := range []bool{true, false} {
		cfg := f.Config
		cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if busy && r.Method == http.MethodGet && r.URL.Path == "/"+made {
					return lost(r), nil
				}
				return next.RoundTrip(r)
			})
		}
		p, err := f.bind(t, cfg, map[string]any{"index_name": alias, "synonym_filter": "from_file_fixed",
			"restore_index": kept}).Preview(t.Context())
		if (err != nil) != busy || !busy && p.Identity == nil {
			t.Errorf("busy %t: identity %v, %v", busy, p.Identity, err)
		}
	}
}

// TestChecksTolerateOnlyMissingPrivileges answers each check of a reindex with a refusal and with a passing error.
func TestChecksTolerateOnlyMissingPrivileges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.makeIndex(t, "v1", "from_file_fixed", true)
	alias := f.base + "-alias"
	f.alias(t, alias, old)
	refused := func(r *http.Request) *http.Response {
		res := lost(r)
		res.StatusCode = http.StatusForbidden
		res.Body = io.NopCloser(strings.NewReader(`{"error":{"type":"security_exception",
			"reason":"action [x] is unauthorized for user [reader]"},"status":403}`))
		return res
	}
	for path, says := range map[string]string{
		"/_cluster/settings": "The limit of shards", "/_security/user/_has_privileges": "Privileges can't",
		"/_index_template": "Index templates can't", "/_nodes/stats": "Free disk space",
	} {
		for name, answer := range map[string]func(*http.Request) *http.Response{"refused": refused, "busy": lost} {
			asked := false
			cfg := f.Config
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(r.URL.Path, path) {
						asked = true
						return answer(r), nil
					}
					return next.RoundTrip(r)
				})
			}
			p, err := f.bind(t, cfg, map[string]any{"index_name": alias, "synonym_filter": "from_file_fixed",
				"reindex": true}).Preview(t.Context())
			noted := strings.Contains(strings.Join(p.Warnings, "\n"), says)
			if !asked || noted != (name == "refused") || (err != nil) != (name == "busy") {
				t.Errorf("%s, %s: asked %t, warnings %q, %v", path, name, asked, p.Warnings, err)
			}
		}
	}
}
