// Package httpapi is the planner behind a control API of HTTP and JSON, which docs/planner-openapi.yaml describes. The
// split has an ETag, and a change names the one that it was based on (If-Match), so that no change of somebody else is
// lost.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Planner is a planner behind the control API.
type Planner struct {
	base string
	web  *web.Client
}

var _ planner.Planner = (*Planner)(nil)

// New returns the planner whose API lies at base. It does no I/O.
func New(base, token string) *Planner {
	return &Planner{base: strings.TrimRight(base, "/"), web: web.New(token)}
}

// document is the split as the API has it. Fields that are not known here are passed over.
type document struct {
	Stable     string             `json:"stable"`
	Resolution float64            `json:"resolution"`
	Versions   map[string]version `json:"versions"`
	Notes      []string           `json:"notes"`
}

type version struct {
	Percent  float64 `json:"percent"`
	Deployed *bool   `json:"deployed"`
}

type change struct {
	Shares    map[string]float64 `json:"shares"`
	Reason    string             `json:"reason"`
	UpdatedBy string             `json:"updated_by"`
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) { return "planner:http:" + p.base, nil }

// Command implements planner.Planner.
func (p *Planner) Command(shares map[string]float64) string {
	return fmt.Sprintf("PUT %s/split: %s", p.base, planner.Text(shares))
}

// Read implements planner.Planner.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	got, err := p.web.Do(ctx, web.Request{Method: http.MethodGet, URL: p.base + "/split"})
	if err != nil {
		return planner.Split{}, p.problem("The planner's control API can't be reached", err.Error(),
			planner.ErrUnreachable)
	}
	if got.Status != http.StatusOK {
		return planner.Split{}, p.refused(got, false)
	}
	return p.split(got)
}

func (p *Planner) split(got web.Answer) (planner.Split, error) {
	var d document
	if err := json.Unmarshal(got.Body, &d); err != nil {
		return planner.Split{}, p.problem("The planner's control API answers with no split", p.web.Text(got),
			planner.ErrMalformed)
	}
	etag := got.Header.Get("ETag")
	if etag == "" || strings.HasPrefix(etag, "W/") {
		return planner.Split{}, p.problem("The planner's control API gives the split no ETag",
			fmt.Sprintf("Its ETag is %q, and a strong one is needed: "+
				"without it somebody else's change could be lost.", etag), planner.ErrMalformed)
	}
	s := planner.Split{Revision: etag, Stable: d.Stable, Resolution: d.Resolution, Shares: map[string]float64{}}
	for name, v := range d.Versions {
		s.Shares[name] = v.Percent
	}
	for _, note := range d.Notes {
		s.Notes = append(s.Notes, p.web.Mask(note))
	}
	for _, name := range s.Versions() {
		if up := d.Versions[name].Deployed; up != nil && !*up {
			s.Down = append(s.Down, name)
		}
	}
	all := s
	all.Resolution, all.Latent = 0, true
	if err := all.Validate(s.Shares); err != nil {
		return planner.Split{}, p.problem("The planner's control API answers with no split", problem.Of(err, "").Why,
			planner.ErrMalformed)
	}
	return s, nil
}

// Set implements planner.Planner.
func (p *Planner) Set(ctx context.Context, c planner.Change) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if err := now.Allows(c); err != nil {
		return planner.Split{}, err
	}
	body, err := json.Marshal(change{Shares: c.Shares, Reason: c.Reason, UpdatedBy: planner.By})
	if err != nil {
		return planner.Split{}, err
	}
	got, err := p.write(ctx, web.Request{
		Method: http.MethodPut, URL: p.base + "/split", Header: map[string]string{"If-Match": c.Revision}, Body: body,
	})
	if err != nil {
		return planner.Split{}, err
	}
	if got.Status == http.StatusPreconditionFailed {
		if now, err = p.Read(ctx); err != nil {
			return planner.Split{}, errors.Join(planner.ErrMoved, err)
		}
		return planner.Split{}, planner.Moved(now)
	}
	if got.Status != http.StatusOK {
		return planner.Split{}, p.refused(got, true)
	}
	if now, err = p.split(got); err != nil {
		return planner.Split{}, errors.Join(planner.ErrUncertain, err)
	}
	return now, nil
}

// Deploy implements planner.Planner.
func (p *Planner) Deploy(ctx context.Context, v planner.Version) error {
	return p.version(ctx, v, "deploy", planner.Split.Check)
}

// Decommission implements planner.Planner.
func (p *Planner) Decommission(ctx context.Context, v planner.Version) error {
	return p.version(ctx, v, "decommission", planner.Split.CheckDown)
}

func (p *Planner) version(ctx context.Context, v planner.Version, verb string,
	check func(planner.Split, string) error) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := check(now, v.Name); err != nil || now.Deployed(v.Name) == (verb == "deploy") {
		return err
	}
	body, err := json.Marshal(change{Reason: v.Reason, UpdatedBy: planner.By})
	if err != nil {
		return err
	}
	got, err := p.write(ctx, web.Request{
		Method: http.MethodPost, URL: p.base + "/versions/" + url.PathEscape(v.Name) + "/" + verb, Body: body,
		Header: map[string]string{"If-Match": now.Revision},
	})
	switch {
	case err != nil:
		return err
	case got.Status == http.StatusPreconditionFailed:
		return planner.Moved(now)
	case got.Status/100 != http.StatusOK/100:
		return p.refused(got, true)
	case got.Status == http.StatusNoContent:
		return nil
	}
	// Something else may have answered so, such as a page to log in.
	if now, err = p.Read(ctx); err != nil {
		return errors.Join(planner.ErrUncertain, err)
	}
	if now.Deployed(v.Name) != (verb == "deploy") {
		return p.problem("The planner's control API did not "+verb+" "+v.Name, p.web.Text(got), planner.ErrUncertain)
	}
	return nil
}

// write sends a change once.
func (p *Planner) write(ctx context.Context, r web.Request) (web.Answer, error) {
	got, err := p.web.Do(ctx, r)
	switch {
	case errors.Is(err, web.ErrNotSent):
		return got, p.problem("The planner's control API can't be reached", err.Error(), planner.ErrUnreachable)
	case err != nil:
		return got, p.problem("The planner's control API broke off in a change", err.Error(), planner.ErrUncertain)
	}
	return got, nil
}

// refused is the problem of an answer that is no success.
func (p *Planner) refused(got web.Answer, write bool) error {
	text := p.web.Text(got)
	switch {
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return p.problem("The planner's control API refuses the credentials", text, planner.ErrForbidden)
	case got.Status == http.StatusTooManyRequests:
		return p.problem("The planner's control API has too many requests", text, planner.ErrUnreachable)
	case got.Status >= http.StatusInternalServerError && write:
		return p.problem("The planner's control API failed in a change", text, planner.ErrUncertain)
	case got.Status >= http.StatusInternalServerError:
		return p.problem("The planner's control API fails", text, planner.ErrUnreachable)
	case write:
		return p.problem("The planner's control API refuses the change", text, planner.ErrShares)
	default:
		return p.problem("What answers at the address is not the planner's control API", text, planner.ErrMalformed)
	}
}

func (p *Planner) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s", p.base,
			why), Next: "Look at the provider's planner.http block and at the logs of the API.",
		Path: []string{"planner", "http", "url"}, Err: cause,
	}
}
