// Package notify sends notices about executions to webhooks. It never delays an execution: notices are sent in the
// background, with a few retries, and those that can't be delivered are logged and dropped.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

const (
	// attempts is the maximum number of attempts to send a notice, pause is the time between two, and sendTimeout
	// bounds all of them together.
	attempts    = 3
	pause       = time.Second
	sendTimeout = 20 * time.Second
)

// Format is the format of a notice's body.
type Format string

// Formats.
const (
	JSON  Format = "json"
	Slack Format = "slack"
)

// Webhook is an address that notices are sent to.
type Webhook struct {
	// URL is a secret.
	URL    string
	Format Format
	// Events are the events that the webhook gets notices of. Empty means all.
	Events []engine.Event
}

// Sender sends notices to webhooks. It is safe for use by several goroutines.
type Sender struct {
	clock  clock.Clock
	redact func(string) string
	hooks  []*hook
	// mu guards the last channels of the hooks, which put notices in order.
	mu sync.Mutex
	// sending counts notices that are under way.
	sending sync.WaitGroup
}

var _ engine.Notifier = (*Sender)(nil)

type hook struct {
	Webhook
	web *web.Client
	// last is closed when the newest notice has been sent or dropped. It is nil before the first one.
	last chan struct{}
}

// New returns a sender, or nil if there are no webhooks. mask removes secrets from texts; nil means that there are
// none.
func New(clk clock.Clock, mask func(string) string, webhooks []Webhook) *Sender {
	if len(webhooks) == 0 {
		return nil
	}
	if mask == nil {
		mask = func(s string) string { return s }
	}
	s := &Sender{clock: clk, redact: mask}
	for _, w := range webhooks {
		s.hooks = append(s.hooks, &hook{Webhook: w, web: web.NewMasking(Secrets(w.URL)...)})
	}
	return s
}

// Secrets returns the parts of a webhook's address that must not be shown: everything but the host.
func Secrets(address string) []string {
	secrets := []string{address}
	if u, err := url.Parse(address); err == nil {
		secrets = append(secrets, strings.Trim(u.EscapedPath(), "/"), strings.Trim(u.Path, "/"), u.RawQuery)
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(s) < redact.MinLength })
}

// Notify implements engine.Notifier. A webhook gets its notices in order.
func (s *Sender) Notify(ctx context.Context, n engine.Notice) {
	ctx = context.WithoutCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if len(h.Events) > 0 && !slices.Contains(h.Events, n.Event) {
			continue
		}
		before, done := h.last, make(chan struct{})
		h.last = done
		s.sending.Go(func() {
			defer close(done)
			if before != nil {
				<-before // closed in time, because each send has a timeout
			}
			ctx, cancel := context.WithTimeout(ctx, sendTimeout)
			defer cancel()
			s.send(ctx, h, n)
		})
	}
}

// Flush waits until all notices are sent or dropped, or until ctx ends.
func (s *Sender) Flush(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.sending.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// send sends a notice, and logs a failure. Only a notice that can't have arrived is sent again.
func (s *Sender) send(ctx context.Context, h *hook, n engine.Notice) {
	body, err := s.body(h.Format, n)
	for try := 1; err == nil; try++ {
		var got web.Answer
		got, err = h.web.Do(ctx, web.Request{Method: http.MethodPost, URL: h.URL, Body: body})
		switch {
		case err == nil && got.Status >= http.StatusMultipleChoices:
			err = fmt.Errorf("the webhook answers with status %d", got.Status)
		case err == nil:
			return
		case errors.Is(err, web.ErrNotSent) && try < attempts && s.clock.Sleep(ctx, pause) == nil:
			err = nil
		}
	}
	logging.Warn(ctx, logging.Engine, "a notice was not delivered", "event", string(n.Event), "execution", n.Execution,
		"error", h.web.Mask(err.Error()))
}

// message is the JSON body of a notice.
type message struct {
	Event     engine.Event `json:"event"`
	At        string       `json:"at"`
	Execution string       `json:"execution,omitempty"`
	Playbook  string       `json:"playbook"`
	Target    string       `json:"target"`
	Incident  string       `json:"incident_id,omitempty"`
	Status    string       `json:"status,omitempty"`
	Message   string       `json:"message"`
	Digest    string       `json:"digest,omitempty"`
	LogsURL   string       `json:"logs_url,omitempty"`
	Text      string       `json:"text"`
}

// body returns a notice in the format.
func (s *Sender) body(format Format, n engine.Notice) ([]byte, error) {
	m := message{
		Event: n.Event, At: n.At.UTC().Format(time.RFC3339), Execution: n.Execution, Playbook: n.Playbook,
		Target: s.redact(n.Target), Incident: s.redact(n.Incident), Status: n.Status, Message: s.redact(n.Message),
		Digest: n.Digest, LogsURL: s.redact(n.LogsURL),
	}
	m.Text = m.text(n.Check)
	if format == Slack {
		return json.Marshal(map[string]string{"text": slackEscaped(m.Text)})
	}
	return json.Marshal(m)
}

// text returns the notice for people, in a few lines. check reports that the execution only gives a verdict.
func (m message) text(check bool) string {
	head := map[engine.Event]string{
		engine.EventStart: "Started", engine.EventSuccess: "Succeeded", engine.EventFailure: "Did not succeed",
		engine.EventRollback: "Rolled back after a breach", engine.EventHold: "Held after a breach",
		engine.EventPastEstimate: "Runs longer than expected", engine.EventEscalation: "Escalate",
		engine.EventApprovalNeeded: "Approval needed",
	}[m.Event]
	if check && m.Event == engine.EventSuccess {
		head = "Checked" // the verdict may be that a metric is out of bounds
	}
	lines := []string{fmt.Sprintf("%s: %s on %s", head, m.Playbook, m.Target)}
	if m.Incident != "" {
		lines[0] += " (incident " + m.Incident + ")"
	}
	if m.Message != "" {
		lines = append(lines, m.Message)
	}
	if m.Execution != "" {
		lines = append(lines, "Execution "+m.Execution)
	}
	if m.Event == engine.EventApprovalNeeded {
		lines = append(lines, "Digest "+m.Digest)
	}
	if strings.HasPrefix(m.LogsURL, "http") {
		lines = append(lines, "Log: "+m.LogsURL)
	}
	return strings.Join(lines, "\n")
}

// slackEscaped escapes the three characters that Slack's text reserves.
func slackEscaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
