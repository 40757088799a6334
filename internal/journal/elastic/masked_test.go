package elastic

import (
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// TestRefusalsAreMasked checks secrets in refusals that are the whole answer and in refusals inside another answer,
// also if the answer is cut within a secret, and in an error's type.
func TestRefusalsAreMasked(t *testing.T) {
	t.Parallel()
	const secret = "Kanarie-secret"
	for name, text := range map[string]string{
		"at the cut": strings.Repeat("x", 193) + secret,
		"in JSON":    `{"error": {"type": "x", "reason": "no \u004banarie-secret"}}`,
		"as a type":  `{"error": {"type": "` + secret + `", "reason": "x"}}`,
		"in a search among several": `{"responses": [{"status": 403, "error": {"type": "` + secret +
			`", "reason": "no \u004banarie-secret"}}]}`,
	} {
		status := http.StatusUnauthorized
		if strings.Contains(text, "responses") {
			status = http.StatusOK
		}
		b := &broken{fault: answers(status, "", text), when: func(int64, *http.Request) bool { return true }}
		cfg := elasticsearch.Config{Endpoints: []string{"http://localhost:1"}, Password: secret, Username: "elastic",
			Transport: func(through http.RoundTripper) http.RoundTripper { b.through = through; return b }}
		s := &Store{client: elasticsearch.New(cfg, clock.System{}), index: "journal", clock: clock.System{},
			limits: usual(), retryFor: retryFor}
		_, err := s.search(t.Context(), map[string]any{})
		if err == nil || b.hits.Load() != 1 || strings.Contains(s.explain(t.Context(), err).Error(), "Kan") {
			t.Errorf("%s: %d requests, %v", name, b.hits.Load(), err)
		}
	}
}
