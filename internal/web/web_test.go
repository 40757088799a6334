package web_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// TestAnswersAreMasked holds that a server that repeats the token can't bring it into whatever is made of its answer.
func TestAnswersAreMasked(t *testing.T) {
	t.Parallel()
	const token = "Kanarie/+=secret"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Get("Authorization")
		_, _ = w.Write([]byte(strings.Repeat("x", 290) + sent + " " + base64.StdEncoding.EncodeToString([]byte(sent))))
	}))
	defer s.Close()
	c := web.New(token)
	got, err := c.Do(t.Context(), web.Request{Method: http.MethodGet, URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"body": string(got.Body), "text": c.Text(got)} {
		if strings.Contains(text, "Kan") || strings.Contains(text, "S2FuYXJpZ") {
			t.Errorf("%s: %s", where, text)
		}
	}
	if !strings.Contains(string(got.Body), "Bearer (redacted)") {
		t.Errorf("the token was not sent: %s", got.Body)
	}
	if _, err := c.Do(t.Context(), web.Request{Method: http.MethodGet, URL: "http://127.0.0.1:1/" +
		token}); err == nil || strings.Contains(err.Error(), "Kanarie") {
		t.Errorf("an error of the connection: %v", err)
	}
}
