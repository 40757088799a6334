package webmetric_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/metrics/webmetric"
)

// ticking is a clock that goes on by 20 ms at each look.
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
