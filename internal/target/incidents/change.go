package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Verb is a change to an incident's status.
type Verb string

// Verbs, in the order in which they take an incident to Resolved.
const (
	Acknowledge Verb = "acknowledge"
	Mitigate    Verb = "mitigate"
	Resolve     Verb = "resolve"
)

// Leads returns the status that the verb brings about.
func (v Verb) Leads() Status {
	return map[Verb]Status{Acknowledge: Acknowledged, Mitigate: Mitigated, Resolve: Resolved}[v]
}

// Remaining returns the verbs that take an incident from a status to Resolved. An unknown status gives none, with ok
// false.
func Remaining(from Status) (verbs []Verb, ok bool) {
	at := slices.Index(Statuses(), from)
	for _, v := range []Verb{Acknowledge, Mitigate, Resolve} {
		if !from.Reached(v.Leads()) {
			verbs = append(verbs, v)
		}
	}
	if at < 0 {
		return nil, false
	}
	return verbs, true
}

// Reached reports whether an incident with status s has, or has passed, the other status.
func (s Status) Reached(other Status) bool {
	return slices.Index(Statuses(), s) >= slices.Index(Statuses(), other)
}

// Change is one change to an incident's status.
type Change struct {
	Verb Verb
	// Notes are kept with the incident, if the service keeps them. The service was observed to keep the notes from the
	// first change only, so only a resolution should have notes.
	Notes string
	// Origin identifies who asks, for the logs of the service.
	Origin string
}

// Apply sends the change, once. An error that wraps ErrFailed or ErrUncertain means that it may have been made; any
// other error means that it was not.
func (c *Client) Apply(ctx context.Context, id string, change Change) error {
	if !c.Configured() {
		return notConfigured()
	}
	body, err := json.Marshal(struct {
		Notes string `json:"notes,omitempty"`
	}{change.Notes})
	if err != nil {
		return err
	}
	r := web.Request{Method: http.MethodPost, URL: fmt.Sprintf("%s/incidents/%s/%s", c.base, url.PathEscape(id),
		change.Verb), Body: body, Once: true}
	if change.Origin != "" {
		r.Header = map[string]string{"X-Opaque-Id": change.Origin}
	}
	got, err := c.web.Do(ctx, r)
	switch {
	case errors.Is(err, web.ErrNotSent):
		return c.problem("The incident service can't be reached", err.Error(), ErrUnreachable)
	case err != nil:
		return c.problem(fmt.Sprintf("The answer to %q was lost", change.Verb), err.Error(), ErrUncertain)
	}
	return c.judge(got, id, change.Verb)
}

// judge returns the error that an answer to a change means, or nil.
func (c *Client) judge(got web.Answer, id string, verb Verb) error {
	success := got.Status >= http.StatusOK && got.Status < http.StatusMultipleChoices
	switch {
	case success && json.Valid(got.Body):
		return nil
	case success:
		return c.problem(fmt.Sprintf("The answer to %q can't be read", verb), c.web.Text(got), ErrUncertain)
	case got.Status == http.StatusTooManyRequests:
		return c.problem("The incident service is rate limiting requests", c.reason(got), ErrUnreachable)
	case got.Status == http.StatusBadGateway, got.Status == http.StatusGatewayTimeout:
		return c.problem(fmt.Sprintf("The answer to %q was lost", verb), c.reason(got), ErrUncertain)
	case got.Status >= http.StatusInternalServerError:
		return c.problem(fmt.Sprintf("The incident service failed after %q", verb), c.reason(got), ErrFailed)
	case got.Status == http.StatusBadRequest, got.Status == http.StatusConflict,
		got.Status == http.StatusUnprocessableEntity:
		return &problem.Problem{
			What: fmt.Sprintf("The incident service refuses to %s incident %s", verb, id),
			Why:  c.base + ": " + c.reason(got) + ".",
			Next: "Look at the incident in the service.", Path: []string{"incident_id"}, Err: ErrRefused,
		}
	default:
		return c.refused(got, id)
	}
}
