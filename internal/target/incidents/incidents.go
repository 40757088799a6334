// Package incidents is the client of an incident service: its incidents, the actions that it offers for them, and their
// history. It understands the API as it is specified and as it was observed to answer.
//
// It reads, and it changes the status of an incident. It never asks the service to run an action: the provider runs
// playbooks itself, and the service would run them a second time.
package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// readTimeout bounds a read with all its attempts: a service that hangs must not hold a remediation up.
const readTimeout = 30 * time.Second

// Errors from a Client, for errors.Is.
var (
	// ErrNotConfigured: the provider names no incident service.
	ErrNotConfigured = errors.New("no incident service is configured")
	// ErrUnreachable: the service can't be reached, or it fails. A change with this error was not made.
	ErrUnreachable = errors.New("the incident service can't be reached")
	// ErrForbidden: the service refuses the credentials.
	ErrForbidden = errors.New("the incident service refuses the credentials")
	// ErrNotFound: the service does not know the incident.
	ErrNotFound = errors.New("unknown incident")
	// ErrID: the service can't have an incident with such an identifier.
	ErrID = errors.New("invalid incident identifier")
	// ErrRefused: the service refuses the change, for example because of the incident's status.
	ErrRefused = errors.New("the incident service refuses the change")
	// ErrMalformed: the answer is not one of an incident service.
	ErrMalformed = errors.New("the server is not the incident service")
	// ErrFailed: the service answered a change with an error of its own. The change may have been made, and a read
	// shows whether it was.
	ErrFailed = errors.New("the incident service failed during a change")
	// ErrUncertain: the answer to a change was lost. The change may have been made, or may still be made.
	ErrUncertain = errors.New("the answer of the incident service was lost")
)

// Status is the status of an incident.
type Status string

// Statuses, in the order in which an incident passes through them.
const (
	Open         Status = "open"
	Acknowledged Status = "acknowledged"
	Mitigated    Status = "mitigated"
	Resolved     Status = "resolved"
	Closed       Status = "closed"
)

// Statuses returns all statuses in that order.
func Statuses() []Status { return []Status{Open, Acknowledged, Mitigated, Resolved, Closed} }

// Incident is an incident of the service.
type Incident struct {
	ID       string
	Status   Status
	Severity string
	Summary  string
	// CreatedAt is as the service writes it, and may be empty.
	CreatedAt string
	// Metadata is a JSON object, or nil.
	Metadata json.RawMessage
}

// ResolutionNotes returns the notes that the service keeps about the resolution, or "".
func (i Incident) ResolutionNotes() string {
	var m struct {
		Notes string `json:"resolution_notes"`
	}
	if i.Metadata == nil || json.Unmarshal(i.Metadata, &m) != nil {
		return ""
	}
	return m.Notes
}

// Config is the address of an incident service.
type Config struct {
	// URL is the base URL; /incidents and /playbooks are below it. Empty: none is configured.
	URL, Token string
}

// Client reads and changes incidents. It is safe for use by several goroutines.
type Client struct {
	base string
	web  *web.Client
}

// New returns a client. It does no I/O.
func New(cfg Config) *Client {
	return &Client{base: strings.TrimRight(cfg.URL, "/"), web: web.New(cfg.Token)}
}

// Configured reports whether there is a service.
func (c *Client) Configured() bool { return c.base != "" }

// URL is the base URL of the service.
func (c *Client) URL() string { return c.base }

// CheckID returns why a text can't be the identifier of an incident in any service, or "".
func CheckID(id string) string {
	if why := check.Label(id); why != "" {
		return why
	}
	if id == "." || id == ".." {
		return "is a relative path"
	}
	return ""
}

// Incident reads one incident.
func (c *Client) Incident(ctx context.Context, id string) (Incident, error) {
	body, err := c.get(ctx, id, "/incidents/"+url.PathEscape(id))
	if err != nil {
		return Incident{}, err
	}
	i, ok := decodeIncident(body)
	if !ok {
		return Incident{}, c.malformed(body)
	}
	return i, nil
}

// decodeIncident decodes an incident, alone or as the member "incident" of an object.
func decodeIncident(body []byte) (Incident, bool) {
	var in struct {
		ID        json.RawMessage `json:"id"`
		Status    Status          `json:"status"`
		Severity  string          `json:"severity"`
		Summary   string          `json:"summary"`
		CreatedAt string          `json:"created_at"`
		Metadata  json.RawMessage `json:"metadata"`
		Incident  json.RawMessage `json:"incident"`
	}
	if json.Unmarshal(body, &in) != nil {
		return Incident{}, false
	}
	if in.Incident != nil {
		return decodeIncident(in.Incident)
	}
	if in.Status == "" {
		return Incident{}, false
	}
	i := Incident{ID: plain(in.ID), Status: Status(strings.ToLower(string(in.Status))), Severity: in.Severity,
		Summary: in.Summary, CreatedAt: in.CreatedAt}
	if string(in.Metadata) != "null" {
		i.Metadata = in.Metadata
	}
	return i, true
}

// plain returns a JSON number or string as text.
func plain(id json.RawMessage) string {
	var s string
	if json.Unmarshal(id, &s) == nil {
		return s
	}
	return string(id)
}

func (c *Client) get(ctx context.Context, id, path string) ([]byte, error) {
	if !c.Configured() {
		return nil, notConfigured()
	}
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	got, err := c.web.Do(limited, web.Request{Method: http.MethodGet, URL: c.base + path})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, c.problem("The incident service can't be reached", err.Error(), ErrUnreachable)
	case got.Status != http.StatusOK:
		return nil, c.refused(got, id)
	case !json.Valid(got.Body):
		return nil, c.malformed(got.Body)
	}
	return got.Body, nil
}

// refused returns the problem for an answer that is not a success. For changes, judge handles most statuses first.
func (c *Client) refused(got web.Answer, id string) error {
	text := c.reason(got)
	switch got.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return c.problem("The incident service refuses the credentials", text, ErrForbidden)
	case http.StatusNotFound:
		if !json.Valid(got.Body) {
			return c.problem("The server at this address is not the incident service", text, ErrMalformed)
		}
		return &problem.Problem{
			What: fmt.Sprintf("The incident service does not know incident %s", id), Why: c.base + ": " + text,
			Next: "Check incident_id, and whether incidents.url of the provider is the service that has it, with its " +
				"base path, such as /api.",
			Path: []string{"incident_id"}, Err: ErrNotFound,
		}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &problem.Problem{
			What: fmt.Sprintf("The incident service does not accept the identifier %q", id), Why: c.base + ": " + text,
			Next: "Write the identifier as the service does; it may accept only whole numbers.",
			Path: []string{"incident_id"}, Err: ErrID,
		}
	case http.StatusTooManyRequests:
		return c.problem("The incident service is rate limiting requests", text, ErrUnreachable)
	}
	if got.Status >= http.StatusInternalServerError {
		return c.problem("The incident service returned a server error", text, ErrUnreachable)
	}
	return c.problem("The server at this address is not the incident service", text, ErrMalformed)
}

// reason returns the error message in an answer, in any form that the service uses, or the beginning of the answer.
func (c *Client) reason(got web.Answer) string {
	var said struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	text := ""
	if json.Unmarshal(got.Body, &said) == nil {
		text = said.Error.Message
		if text == "" {
			text = detail(said.Detail)
		}
	}
	if text == "" {
		return withWait(c.web.Text(got), got)
	}
	return withWait(fmt.Sprintf("status %d: %s", got.Status, c.web.Mask(text)), got)
}

// detail returns the text of an error's "detail", which is a string or a list of messages about the request.
func detail(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []struct {
		Message string `json:"msg"`
	}
	if json.Unmarshal(raw, &list) != nil {
		return ""
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = one.Message
	}
	return strings.Join(all, "; ")
}

// withWait adds to text when the service accepts requests again, if it says so.
func withWait(text string, got web.Answer) string {
	if after := got.Header.Get("Retry-After"); after != "" && check.OneLine(after) == "" {
		return fmt.Sprintf("%s (Retry-After: %s)", text, after)
	}
	return text
}

func (c *Client) malformed(body []byte) error {
	why := "the answer is not in the form that its API describes"
	if strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		why = "the answer is a web page, such as a login form"
	}
	return c.problem("The server at this address is not the incident service", why, ErrMalformed)
}

func (c *Client) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s.", c.base, strings.TrimSuffix(why, ".")),
		Next: "Check the provider's incidents block (url with its base path, token) and the logs of the service.",
		Path: []string{"incidents", "url"}, Err: cause,
	}
}

func notConfigured() error {
	return &problem.Problem{
		What: "No incident service is configured",
		Why:  "The provider has no incidents block with a url, and REMEDIATION_INCIDENTS_URL is not set.",
		Next: "Set incidents.url.", Path: []string{"incidents", "url"}, Err: ErrNotConfigured,
	}
}
