package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/notify"
)

// receiver is a webhook.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	status int
}

func listen(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies
}

func failed() engine.Notice {
	return engine.Notice{Event: engine.EventFailure, At: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC),
		Execution: "4f9c2a17-12", Playbook: "rerun_dbt", Target: "dbt:shop/prod", Incident: "7", Status: "failed",
		Message: "password hunter2-secret & <b>", Digest: "sha256:1", LogsURL: "https://logs.example.com/12"}
}

func mask(s string) string { return strings.ReplaceAll(s, "hunter2-secret", "(redacted)") }

func TestFormats(t *testing.T) {
	t.Parallel()
	plain, chat, other := listen(t, 200), listen(t, 200), listen(t, 200)
	s := notify.New(clock.System{}, mask, []notify.Webhook{{URL: plain.URL + "/hook"},
		{URL: chat.URL + "/services/T0/B0", Format: notify.Slack},
		{URL: other.URL, Events: []engine.Event{engine.EventSuccess}}})
	s.Notify(t.Context(), failed())
	s.Flush(t.Context())
	var got map[string]string
	if len(plain.got()) != 1 || json.Unmarshal([]byte(plain.got()[0]), &got) != nil || got["event"] != "failure" ||
		got["incident_id"] != "7" || got["execution"] != "4f9c2a17-12" ||
		got["message"] != "password (redacted) & <b>" ||
		got["at"] != "2026-03-01T03:00:00Z" {
		t.Errorf("json: %q", plain.got())
	}
	var message map[string]string
	want := "Did not succeed: rerun_dbt on dbt:shop/prod (incident 7)\npassword (redacted) &amp; &lt;b&gt;\n" +
		"Execution 4f9c2a17-12\nLog: https://logs.example.com/12"
	if len(chat.got()) != 1 || json.Unmarshal([]byte(chat.got()[0]), &message) != nil || len(message) != 1 ||
		message["text"] != want {
		t.Errorf("slack: %q", chat.got())
	}
	if len(other.got()) != 0 {
		t.Errorf("an event that the webhook does not want was sent: %q", other.got())
	}
}

// TestFailuresAreBoundedAndLogged expects one request if the webhook answers, and a log line without the address.
func TestFailuresAreBoundedAndLogged(t *testing.T) {
	t.Parallel()
	broken := listen(t, 500)
	var out bytes.Buffer
	ctx := logging.With(t.Context(), slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := notify.New(clock.System{}, nil, []notify.Webhook{{URL: broken.URL + "/services/T0SECRET/B0SECRET"}})
	s.Notify(ctx, failed())
	s.Flush(t.Context())
	if len(broken.got()) != 1 {
		t.Errorf("%d requests to a webhook that answers 500, want 1", len(broken.got()))
	}
	if !strings.Contains(out.String(), "status 500") || strings.Contains(out.String(), "SECRET") {
		t.Errorf("log:\n%s", out.String())
	}
	out.Reset()
	gone := notify.New(clock.System{}, nil, []notify.Webhook{{URL: "http://127.0.0.1:1/services/T0SECRET/B0SECRET"}})
	gone.Notify(ctx, failed())
	gone.Flush(t.Context())
	if n := strings.Count(out.String(), "msg=request"); n != 3 || strings.Contains(out.String(), "SECRET") {
		t.Errorf("%d attempts, want 3; log:\n%s", n, out.String())
	}
}

func TestWebhookThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	s := notify.New(clock.System{}, nil, []notify.Webhook{{URL: hangs.URL}})
	s.Notify(t.Context(), failed()) // returns at once, or the test hangs
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Flush(ctx)
}

func TestNoWebhookNoSender(t *testing.T) {
	t.Parallel()
	if s := notify.New(clock.System{}, nil, nil); s != nil {
		t.Error("there is a sender without webhooks")
	}
}

func TestSecretsOfAnAddress(t *testing.T) {
	t.Parallel()
	all := strings.Join(notify.Secrets("https://hooks.example.com/services/T0/B0?key=a%2Fbcdef"), " ")
	for _, want := range []string{"services/T0/B0", "key=a%2Fbcdef"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q lacks %s", all, want)
		}
	}
	if strings.Contains(" "+all+" ", " hooks.example.com ") {
		t.Error("the host is a secret")
	}
}
