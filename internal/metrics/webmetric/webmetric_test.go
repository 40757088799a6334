package webmetric_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/metrics/webmetric"
)

// ticking is a clock that advances by 20 ms with each call of Now.
type ticking struct{ now time.Time }

func (c *ticking) Now() time.Time {
	c.now = c.now.Add(20 * time.Millisecond)
	return c.now
}

func (*ticking) Sleep(context.Context, time.Duration) error { return nil }

func TestRead(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(`{"stats": {"error_rate": 0.25, "a/b": [1, 2.5], "name": "x", "none": null}}`))
	}))
	defer s.Close()
	for name, tt := range map[string]struct {
		path, pointer string
		value         float64
		want          error
	}{
		"number":      {"/", "/stats/error_rate", 0.25, nil},
		"element":     {"/", "/stats/a~1b/1", 2.5, nil},
		"latency":     {"/", "", 20, nil},
		"no such":     {"/", "/stats/none_such", 0, webmetric.ErrNoNumber},
		"null":        {"/", "/stats/none", 0, webmetric.ErrNoNumber},
		"text":        {"/", "/stats/name", 0, webmetric.ErrNoNumber},
		"no element":  {"/", "/stats/a~1b/2", 0, webmetric.ErrNoNumber},
		"too deep":    {"/", "/stats/error_rate/x", 0, webmetric.ErrNoNumber},
		"no pointer":  {"/", "stats", 0, webmetric.ErrNoNumber},
		"status 404":  {"/gone", "/stats/error_rate", 0, webmetric.ErrUnavailable},
		"no latency":  {"/gone", "", 0, webmetric.ErrUnavailable},
		"no protocol": {"", "", 0, webmetric.ErrUnavailable},
	} {
		address := s.URL + tt.path
		if tt.path == "" {
			address = "file:///etc/hostname"
		}
		if v, err := webmetric.New(&ticking{}).Read(t.Context(), address, tt.pointer); !errors.Is(err, tt.want) ||
			v != tt.value {
			t.Errorf("%s: %g, %v", name, v, err)
		}
	}
}

// TestErrorsRepeatNoneOfTheAnswer makes a server on an internal address answer with a secret, in every way that is an
// error.
func TestErrorsRepeatNoneOfTheAnswer(t *testing.T) {
	t.Parallel()
	const secret = "AKIA-SECRET"
	for name, tt := range map[string]struct {
		status  int
		body    string
		pointer string
	}{
		"refused":     {http.StatusForbidden, secret, ""},
		"error":       {http.StatusInternalServerError, secret, "/a"},
		"no JSON":     {http.StatusOK, secret, "/a"},
		"text":        {http.StatusOK, `{"a": "` + secret + `"}`, "/a"},
		"no such key": {http.StatusOK, `{"` + secret + `": 1}`, "/a"},
		"array":       {http.StatusOK, `["` + secret + `"]`, "/a"},
		"too deep":    {http.StatusOK, `"` + secret + `"`, "/a/b"},
		"long number": {http.StatusOK, `{"a": 1e999}`, "/a"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		_, err := webmetric.New(&ticking{}).Read(t.Context(), s.URL, tt.pointer)
		s.Close()
		if err == nil || strings.Contains(err.Error(), "AKIA") || strings.Contains(err.Error(), "invalid character") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
