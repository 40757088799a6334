// Package applylens implements planner.Planner for the ApplyLens guard API, which divides traffic between two versions
// and can switch the canary off completely (its kill switch). The API has no revision, so each change is preceded by a
// read. While its regression detector is in breach, the API rolls back whenever its status is read.
package applylens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// resolution is in percentage points. The API accepts any number.
const resolution = 0.01

// Config is a guard API and the versions behind it.
type Config struct {
	// URL is the base URL of /guard/status.
	URL, Token string
	// Stable and Canary are the names of the two versions.
	Stable, Canary string
}

// Planner is a planner behind the guard API.
type Planner struct {
	cfg Config
	web *web.Client
}

var _ planner.Planner = (*Planner)(nil)

// New returns the planner. It does no I/O.
func New(cfg Config) *Planner {
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	return &Planner{cfg: cfg, web: web.New(cfg.Token)}
}

// config is the configuration in an answer. Other fields are ignored.
type config struct {
	CanaryPct  *float64 `json:"canary_pct"`
	KillSwitch bool     `json:"kill_switch"`
}

type status struct {
	Config     *config `json:"config"`
	Evaluation struct {
		Action   string            `json:"action"`
		Reason   string            `json:"reason"`
		Breaches []json.RawMessage `json:"breaches"`
	} `json:"evaluation"`
}

// update is the body of a change.
type update struct {
	CanaryPct  *float64 `json:"canary_pct,omitempty"`
	KillSwitch *bool    `json:"kill_switch,omitempty"`
	UpdatedBy  string   `json:"updated_by"`
	Reason     string   `json:"reason"`
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) { return "planner:applylens:" + p.cfg.URL, nil }

// Command implements planner.Planner.
func (p *Planner) Command(_ planner.Split, shares map[string]float64) string {
	return fmt.Sprintf("PUT %s/guard/config canary_pct=%s", p.cfg.URL, planner.Number(shares[p.cfg.Canary]))
}

// Read implements planner.Planner. While the API's detector is in breach, the read causes a rollback; then it returns
// the split after the rollback, with a note.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	s, err := p.status(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if !s.breach() {
		return p.split(*s.Config)
	}
	// The answer shows the configuration from before the rollback that the read caused.
	after, err := p.status(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	split, err := p.split(*after.Config)
	split.ChangedBy = fmt.Sprintf("the guard API rolled back, because its detector is in breach (%s)",
		p.web.Mask(s.Evaluation.Reason))
	split.Notes = append(split.Notes,
		fmt.Sprintf("The detector of the guard API is in breach (%s). While it is, every read of its status, "+
			"this one included, sets the canary to 0%% and switches it off: a new share will not last.",
			p.web.Mask(s.Evaluation.Reason)))
	return split, err
}

// breach reports whether the API is rolling back.
func (s status) breach() bool {
	return len(s.Evaluation.Breaches) > 0 || strings.Contains(strings.ToLower(s.Evaluation.Action), "rollback")
}

func (p *Planner) status(ctx context.Context) (status, error) {
	got, err := p.do(ctx, web.Request{Method: http.MethodGet, URL: p.cfg.URL + "/guard/status"})
	if err != nil {
		return status{}, p.problem("The guard API can't be reached", err.Error(), planner.ErrUnreachable)
	}
	if got.Status != http.StatusOK {
		return status{}, p.refused(got, false)
	}
	var s status
	if err := json.Unmarshal(got.Body, &s); err != nil || s.Config == nil {
		return status{}, p.problem("The server at this address is not the guard API", p.web.Text(got),
			planner.ErrMalformed)
	}
	return s, nil
}

func (p *Planner) split(c config) (planner.Split, error) {
	if c.CanaryPct == nil || math.IsNaN(*c.CanaryPct) || *c.CanaryPct < 0 || *c.CanaryPct > planner.Whole {
		return planner.Split{}, p.problem("The guard API returned no split",
			"canary_pct is missing or not between 0 and 100.", planner.ErrMalformed)
	}
	s := planner.Split{
		Shares:     map[string]float64{p.cfg.Canary: *c.CanaryPct, p.cfg.Stable: planner.Whole - *c.CanaryPct},
		Stable:     p.cfg.Stable,
		Resolution: resolution, Latent: true, Identity: planner.AddressOf(p.cfg.URL),
		Aliases:  planner.Prefixed("planner:applylens:", planner.Aliases(p.cfg.URL), ""),
		Revision: fmt.Sprintf("%s; kill switch %t", planner.Number(*c.CanaryPct), c.KillSwitch),
		Plain:    !c.KillSwitch && *c.CanaryPct == math.Round(*c.CanaryPct),
	}
	text, err := json.Marshal(c)
	if err != nil {
		return planner.Split{}, err
	}
	s.State = text
	if c.KillSwitch {
		s.Down = []string{p.cfg.Canary}
	}
	return s, nil
}

// Set implements planner.Planner. The API has no compare-and-set: the split is read right before it is set, and a
// change by another client between the two is not detected. The split is read again afterwards, which shows a rollback
// by the API.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if err := now.Allows(change); err != nil {
		return planner.Split{}, err
	}
	percent := change.Shares[p.cfg.Canary]
	set, err := p.update(ctx, update{CanaryPct: &percent, UpdatedBy: change.By, Reason: change.Reason})
	if err != nil {
		return planner.Split{}, err
	}
	switch said, err := p.split(set); {
	case err != nil:
		return planner.Split{}, errors.Join(planner.ErrUncertain, err)
	case !planner.Same(said.Shares, change.Shares):
		return planner.Split{}, p.problem("The guard API did not set the share",
			fmt.Sprintf("It was asked for %s, and its response shows %s.", planner.Percent(percent),
				planner.Percent(said.Shares[p.cfg.Canary])), planner.ErrUncertain)
	}
	return p.after(ctx)
}

// after returns the split after a change, which a rollback by the API may have replaced.
func (p *Planner) after(ctx context.Context) (planner.Split, error) {
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, errors.Join(planner.ErrUncertain, err)
	}
	return now, nil
}

// errRollsBack: while the detector is in breach, the API replaces what a change sets.
var errRollsBack = errors.New("the guard API will roll the change back")

// Project implements planner.Projecting.
func (p *Planner) Project(now planner.Split, e planner.Effect) (planner.Split, error) {
	state := now.State
	if e.Restore != nil {
		state = e.Restore
	}
	var c config
	if err := json.Unmarshal(state, &c); err != nil {
		return planner.Split{}, err
	}
	if e.Shares != nil {
		share := e.Shares[p.cfg.Canary]
		c.CanaryPct = &share
	}
	if e.Deploy == p.cfg.Canary {
		c.KillSwitch = false
	}
	if e.Decommission == p.cfg.Canary {
		none := 0.0
		c.CanaryPct, c.KillSwitch = &none, true
	}
	if rollsBack := len(now.Notes) > 0; rollsBack && (c.CanaryPct == nil || *c.CanaryPct > 0 || !c.KillSwitch) {
		return planner.Split{}, errRollsBack
	}
	return p.split(c)
}

// Deploy implements planner.Planner: it turns the kill switch off.
func (p *Planner) Deploy(ctx context.Context, v planner.Version) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := now.Check(v.Name); err != nil || now.Deployed(v.Name) {
		return err
	}
	off := false
	set, err := p.update(ctx, update{KillSwitch: &off, UpdatedBy: v.By, Reason: v.Reason})
	if err == nil && set.KillSwitch {
		err = p.problem("The guard API did not switch the canary on",
			"Its response still shows the kill switch as set.",
			planner.ErrUncertain)
	}
	return err
}

// Decommission implements planner.Planner: it calls the rollback of the API, which sets the share to 0 and turns the
// kill switch on.
func (p *Planner) Decommission(ctx context.Context, v planner.Version) error {
	now, err := p.Read(ctx)
	if err != nil {
		return err
	}
	if err := now.CheckDown(v.Name); err != nil || !now.Deployed(v.Name) {
		return err
	}
	if v.Name == p.cfg.Stable {
		return p.problem("The stable version can't be switched off",
			"The guard API has a switch for the canary only.", planner.ErrShares)
	}
	set, err := p.send(ctx, http.MethodPost, "/guard/rollback", update{UpdatedBy: v.By, Reason: v.Reason})
	if err == nil && !set.KillSwitch {
		err = p.problem("The guard API did not switch the canary off",
			"Its response doesn't show the kill switch as set.",
			planner.ErrUncertain)
	}
	return err
}

func (p *Planner) update(ctx context.Context, u update) (config, error) {
	return p.send(ctx, http.MethodPut, "/guard/config", u)
}

// send sends a change once and returns the configuration in the answer.
func (p *Planner) send(ctx context.Context, method, path string, u update) (config, error) {
	u.UpdatedBy = cmp.Or(u.UpdatedBy, planner.By)
	u.Reason = cmp.Or(u.Reason, planner.By) // the API refuses a rollback without a reason
	body, err := json.Marshal(u)
	if err != nil {
		return config{}, err
	}
	got, err := p.do(ctx, web.Request{Method: method, URL: p.cfg.URL + path, Body: body})
	switch {
	case errors.Is(err, web.ErrNotSent):
		return config{}, p.problem("The guard API can't be reached", err.Error(), planner.ErrUnreachable)
	case err != nil:
		return config{}, p.problem("The connection to the guard API was lost during a change", err.Error(),
			planner.ErrUncertain)
	case got.Status != http.StatusOK:
		return config{}, p.refused(got, true)
	}
	var answer struct {
		Success *bool   `json:"success"`
		Config  *config `json:"config"`
	}
	if err := json.Unmarshal(got.Body, &answer); err != nil || answer.Config == nil ||
		(answer.Success != nil && !*answer.Success) {
		return config{}, p.problem("The guard API does not say what it did", p.web.Text(got), planner.ErrUncertain)
	}
	return *answer.Config, nil
}

func (p *Planner) refused(got web.Answer, write bool) error {
	text := p.web.Text(got)
	badInput := []int{http.StatusBadRequest, http.StatusUnprocessableEntity}
	switch {
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return p.problem("The guard API refuses the credentials", text, planner.ErrForbidden)
	case slices.Contains(badInput, got.Status):
		return p.problem("The guard API refuses the change", text, planner.ErrShares)
	case got.Status/100 == http.StatusOK/100 && write:
		return p.problem("The guard API does not say what it did", text, planner.ErrUncertain)
	case got.Status >= http.StatusInternalServerError && write:
		return p.problem("The guard API failed during a change", text, planner.ErrUncertain)
	case got.Status >= http.StatusInternalServerError || got.Status == http.StatusTooManyRequests:
		return p.problem("The guard API fails", text, planner.ErrUnreachable)
	default:
		return p.problem("The server at this address is not the guard API", text, planner.ErrMalformed)
	}
}

func (p *Planner) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s", p.cfg.URL, why),
		Next: "Check the provider's planner.applylens block and the logs of the API.",
		Path: []string{"planner", "applylens", "url"}, Err: cause,
	}
}
