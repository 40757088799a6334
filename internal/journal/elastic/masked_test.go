package elastic

import (
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// TestRefusalsAreMasked holds it also where the answer is cut within a secret, and for the kind of an error.
func TestRefusalsAreMasked(t *testing.T) {
	t.Parallel()
	const secret = "Kanarie-secret"
	s := &Store{secrets: redact.New(secret)}
	for name, text := range map[string]string{
		"at the cut": strings.Repeat("x",
			193) + secret, "in JSON": `{"error": {"type": "x", "reason": "no \u004banarie-secret"}}`,
		"as a kind": `{"error": {"type": "` + secret + `", "reason": "x"}}`,
	} {
		if refused, _ := s.refusal("Read", http.StatusUnauthorized, []byte(text)); strings.Contains(refused.Error(),
			"Kan") {
			t.Errorf("%s: %v", name, refused)
		}
	}
}
