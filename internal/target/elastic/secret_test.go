package elastic_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// TestRefusalsAreMasked checks that credentials which an answer repeats are masked, also if the answer is cut, and that
// parts of the credentials are masked.
func TestRefusalsAreMasked(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString([]byte("key-id-1:Kanarie-key"))
	for name, tt := range map[string]struct {
		cfg     elastic.Config
		repeats string
	}{
		"a password at the cut": {elastic.Config{Username: "elastic", Password: "Kanarie-password"},
			strings.Repeat("x", 193) + "Kanarie-password"},
		"the header": {elastic.Config{Username: "elastic", Password: "Kanarie-password"}, "Basic " +
			base64.StdEncoding.EncodeToString([]byte("elastic:Kanarie-password"))},
		"what an API key consists of": {elastic.Config{APIKey: key}, "Kanarie-key of key-id-1"},
		"the API key":                 {elastic.Config{APIKey: key}, key},
		"a header of one's own": {elastic.Config{Headers: map[string]string{"X-Secret": "Kanarie-header"}},
			"Kanarie-header"},
		"the shared secret": {elastic.Config{BearerToken: "Kanarie-bearer",
			ESClientAuthentication: "Kanarie-shared"}, "Kanarie-shared Kanarie-bearer"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(tt.repeats))
		}))
		tt.cfg.Endpoints = []string{s.URL}
		_, err := connect(tt.cfg).Resolve(t.Context(), "kb", false)
		s.Close()
		if err == nil || !strings.Contains(err.Error(), "(redacted") && !strings.HasPrefix(tt.repeats, "xxx") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, secret := range []string{"Kan", "S2FuYXJpZ", "FuYXJpZ", "thbmFyaW", key[4:20]} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q is in: %v", name, secret, err)
			}
		}
	}
}
