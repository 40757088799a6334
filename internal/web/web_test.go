package web_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// TestAnswersAreMasked shows that a server that returns the token can't carry it into messages or records.
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

// TestRequestsAreLogged expects one line per attempt, without the token.
func TestRequestsAreLogged(t *testing.T) {
	t.Parallel()
	const token = "Kanarie-secret"
	attempts := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	var out bytes.Buffer
	ctx := logging.With(t.Context(), slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := web.New(token).Do(ctx, web.Request{Method: http.MethodGet,
		URL: s.URL + "/" + token + "?q=x"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "status=503") || !strings.Contains(lines[1], "status=200") ||
		!strings.Contains(lines[1], "subsystem=http") || strings.Contains(out.String(), "Kanarie") {
		t.Errorf("log:\n%s", out.String())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	seen := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen = true }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	got, err := web.New("token-of-the-test").Do(t.Context(), web.Request{Method: http.MethodGet, URL: s.URL})
	if err != nil || got.Status != http.StatusTemporaryRedirect || seen {
		t.Errorf("status %d, followed: %t, %v", got.Status, seen, err)
	}
}

func TestLinkLocalAddressesAreNotOpened(t *testing.T) {
	t.Parallel()
	_, err := web.New("").Do(t.Context(), web.Request{Method: http.MethodPost, URL: "http://169.254.169.254/latest"})
	if !errors.Is(err, web.ErrNotSent) || !strings.Contains(err.Error(), "link-local") {
		t.Error(err)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	const all = 4
	for name, c := range map[string]struct {
		method, after string
		once          bool
		status, want  int
	}{
		"a read":                             {http.MethodGet, "0", false, http.StatusTooManyRequests, all},
		"a write that was not accepted":      {http.MethodPost, "0", false, http.StatusTooManyRequests, all},
		"a write that failed":                {http.MethodPost, "", false, http.StatusInternalServerError, 1},
		"a write that may be sent once":      {http.MethodPost, "0", true, http.StatusTooManyRequests, 1},
		"a server that asks to wait an hour": {http.MethodGet, "3600", false, http.StatusTooManyRequests, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				attempts++
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(c.status)
			}))
			defer s.Close()
			got, err := web.New("").Do(t.Context(), web.Request{Method: c.method, URL: s.URL, Once: c.once})
			if err != nil || got.Status != c.status || attempts != c.want {
				t.Errorf("status %d after %d attempts, want %d: %v", got.Status, attempts, c.want, err)
			}
		})
	}
}
