// Package httpapi implements planner.Planner for the HTTP control API that docs/planner-openapi.yaml describes. The
// split has an ETag, and a change names the ETag on which it is based (If-Match), so changes by other clients are never
// overwritten.
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

// New returns the planner whose API is at base. It does no I/O.
func New(base, token string) *Planner {
	return &Planner{base: strings.TrimRight(base, "/"), web: web.New(token)}
}

// document is the split as the API encodes it. Unknown fields are ignored.
type document struct {
	Stable     string             `json:"stable"`
	Resolution float64            `json:"resolution"`
	Versions   map[string]version `json:"versions"`
	Notes      []string           `json:"notes"`
	// Requests counts the requests to each version since the router started. Optional.
	Requests map[string]int64 `json:"requests"`
}

type version struct {
	Percent  float64 `json:"percent"`
	Deployed *bool   `json:"deployed,omitempty"`
}

type change struct {
	Shares    map[string]float64 `json:"shares"`
	Reason    string             `json:"reason"`
	UpdatedBy string             `json:"updated_by"`
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) { return "planner:http:" + p.base, nil }

// Command implements planner.Planner.
func (p *Planner) Command(_ planner.Split, shares map[string]float64) string {
	return fmt.Sprintf("PUT %s/split: %s", p.base, planner.Text(shares))
}

// Read implements planner.Planner.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	got, err := p.do(ctx, web.Request{Method: http.MethodGet, URL: p.base + "/split"})
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
		return planner.Split{}, p.problem("The planner's control API returned no split", p.web.Text(got),
			planner.ErrMalformed)
	}
	etag := got.Header.Get("ETag")
	if etag == "" || strings.HasPrefix(etag, "W/") {
		return planner.Split{}, p.problem("The planner's control API returned no strong ETag",
			fmt.Sprintf("Its ETag is %q, and a strong one is needed: "+
				"without it, someone else's change could be lost.", etag), planner.ErrMalformed)
	}
	if why := planner.WrongName(d.Versions); why != "" {
		return planner.Split{}, p.problem("The planner's control API returned no split", why, planner.ErrMalformed)
	}
	s := planner.Split{Revision: etag, Stable: d.Stable, Resolution: d.Resolution, Shares: map[string]float64{},
		Identity: planner.AddressOf(p.base), Aliases: planner.Prefixed("planner:http:", planner.Aliases(p.base), ""),
		Requests: d.Requests, State: d.state()}
	s.Plain = d.plain()
	for name, v := range d.Versions {
		s.Shares[name] = v.Percent
	}
	for _, note := range d.Notes {
		s.Notes = append(s.Notes, strings.Join(strings.Fields(p.web.Mask(note)), " "))
	}
	for _, name := range s.Versions() {
		if up := d.Versions[name].Deployed; up != nil && !*up {
			s.Down = append(s.Down, name)
		}
	}
	all := s
	all.Resolution, all.Latent = 0, true
	if err := all.Validate(s.Shares); err != nil {
		return planner.Split{}, p.problem("The planner's control API returned no split", problem.Of(err, "").Why,
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
	return p.put(ctx, c)
}

func (p *Planner) put(ctx context.Context, c planner.Change) (planner.Split, error) {
	body, err := json.Marshal(change{Shares: c.Shares, Reason: c.Reason, UpdatedBy: by(c.By)})
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
		return planner.Split{}, p.moved(ctx)
	}
	if got.Status != http.StatusOK {
		return planner.Split{}, p.refused(got, true)
	}
	now, err := p.split(got)
	if err != nil {
		return planner.Split{}, errors.Join(planner.ErrUncertain, err)
	}
	if !planner.Same(now.Shares, c.Shares) {
		now.ChangedBy = "the control API answers with other shares than it was asked for"
	}
	return now, nil
}

// moved returns the problem for a change that the API refused because the split has changed, with the split as it is.
func (p *Planner) moved(ctx context.Context) error {
	now, err := p.Read(ctx)
	if err != nil {
		return errors.Join(planner.ErrMoved, err)
	}
	return planner.Moved(now)
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
	body, err := json.Marshal(change{Reason: v.Reason, UpdatedBy: by(v.By)})
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
		return p.moved(ctx)
	case got.Status/100 != http.StatusOK/100:
		return p.refused(got, true)
	case got.Status == http.StatusNoContent:
		return nil
	}
	// Another server may have answered, for example with a login page.
	if now, err = p.Read(ctx); err != nil {
		return errors.Join(planner.ErrUncertain, err)
	}
	if now.Deployed(v.Name) != (verb == "deploy") {
		return p.problem("The planner's control API did not "+verb+" "+v.Name, p.web.Text(got), planner.ErrUncertain)
	}
	return nil
}

// Restoring implements planner.Planner.
func (p *Planner) Restoring(now planner.Split, state planner.State) (string, map[string]float64, error) {
	versions, err := p.decode(now, state)
	if err != nil {
		return "", nil, err
	}
	shares := shares(versions)
	line := p.Command(now, shares)
	for _, name := range now.Versions() {
		if up := deployed(versions[name]); up != now.Deployed(name) {
			line += fmt.Sprintf("; POST %s/versions/%s/%s", p.base, url.PathEscape(name), verb(up))
		}
	}
	return line, shares, nil
}

// Project implements planner.Projecting.
func (p *Planner) Project(now planner.Split, e planner.Effect) (planner.Split, error) {
	versions, err := p.decode(now, now.State)
	if err == nil && e.Restore != nil {
		versions, err = p.decode(now, e.Restore)
		e = planner.Effect{}
	}
	if err != nil {
		return planner.Split{}, err
	}
	for name, v := range versions {
		if e.Shares != nil {
			v.Percent = e.Shares[name]
		}
		if up := name == e.Deploy; up || name == e.Decommission {
			v.Deployed = &up
		}
		versions[name] = v
	}
	d := document{Versions: versions}
	now.Shares, now.State, now.Plain, now.Down = shares(versions), d.state(), d.plain(), nil
	for _, name := range now.Versions() {
		if !deployed(versions[name]) {
			now.Down = append(now.Down, name)
		}
	}
	return now, nil
}

// Restore implements planner.Planner: first it deploys versions, then it sets the shares, then it decommissions
// versions. If one of these requests fails after another one was performed, the error wraps ErrUncertain.
func (p *Planner) Restore(ctx context.Context, r planner.Restoration) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if now.Revision != r.Revision {
		return planner.Split{}, planner.Moved(now)
	}
	versions, err := p.decode(now, r.State)
	if err != nil {
		return planner.Split{}, err
	}
	changed, err := p.restore(ctx, now, versions, r)
	if err == nil {
		now, err = p.Read(ctx)
	}
	if err != nil && changed {
		err = errors.Join(planner.ErrUncertain, err)
	}
	if err != nil {
		return planner.Split{}, err
	}
	return now, nil
}

// restore sends the requests of Restore, and reports whether one of them was performed.
func (p *Planner) restore(ctx context.Context, now planner.Split, versions map[string]version,
	r planner.Restoration) (changed bool, err error) {
	turn := func(up bool) error {
		for _, name := range now.Versions() {
			if deployed(versions[name]) != up || now.Deployed(name) == up {
				continue
			}
			v := planner.Version{Name: name, Reason: r.Reason, By: r.By}
			if err := p.version(ctx, v, verb(up), planner.Split.Check); err != nil {
				return err
			}
			changed = true
		}
		return nil
	}
	if err := turn(true); err != nil {
		return changed, err
	}
	if now, err = p.Read(ctx); err != nil {
		return changed, err
	}
	if want := shares(versions); !equal(now.Shares, want) {
		if now, err = p.put(ctx, planner.Change{Revision: now.Revision, Shares: want, Reason: r.Reason,
			By: r.By}); err != nil {
			return changed, err
		}
		changed = true
	}
	err = turn(false)
	return changed, err
}

// write sends a change once.
func (p *Planner) write(ctx context.Context, r web.Request) (web.Answer, error) {
	got, err := p.do(ctx, r)
	switch {
	case errors.Is(err, web.ErrNotSent):
		return got, p.problem("The planner's control API can't be reached", err.Error(), planner.ErrUnreachable)
	case err != nil:
		return got, p.problem("The connection to the planner's control API was lost during a change", err.Error(),
			planner.ErrUncertain)
	}
	return got, nil
}

// refused returns the problem for an answer that is not a success.
func (p *Planner) refused(got web.Answer, write bool) error {
	text := p.web.Text(got)
	switch {
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return p.problem("The planner's control API refuses the credentials", text, planner.ErrForbidden)
	case got.Status == http.StatusTooManyRequests:
		return p.problem("The planner's control API is rate limiting requests", text, planner.ErrUnreachable)
	case got.Status >= http.StatusInternalServerError && write:
		return p.problem("The planner's control API failed during a change", text, planner.ErrUncertain)
	case got.Status >= http.StatusInternalServerError:
		return p.problem("The planner's control API returned a server error", text, planner.ErrUnreachable)
	case write && got.Status/100 == http.StatusOK/100:
		return p.problem("The planner's control API returned no split", text, planner.ErrUncertain)
	case write:
		return p.problem("The planner's control API refuses the change", text, planner.ErrShares)
	default:
		return p.problem("The server at this address is not the planner's control API", text, planner.ErrMalformed)
	}
}

func (p *Planner) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s", p.base, why),
		Next: "Check the provider's planner.http block and the logs of the API.",
		Path: []string{"planner", "http", "url"}, Err: cause,
	}
}
