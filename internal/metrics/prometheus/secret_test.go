package prometheus_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
)

// TestErrorsAreMasked covers answers that contain the token with JSON escapes: only decoding reveals it.
func TestErrorsAreMasked(t *testing.T) {
	t.Parallel()
	const token = "Kanarie-secret"
	for name, tt := range map[string]struct {
		status int
		body   string
	}{
		"error": {http.StatusBadRequest,
			`{"status": "error", "errorType": "bad_data", "error": "not \u004banarie-secret"}`},
		"warning": {http.StatusOK,
			`{"status": "success", "warnings": ["not \u004banarie-secret"], "data": {"resultType": "scalar", "result": [0, "1"]}}`},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		}))
		_, err := prometheus.New(s.URL, token).Query(t.Context(), "up")
		s.Close()
		if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "not (redacted)") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
