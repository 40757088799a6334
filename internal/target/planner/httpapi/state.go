package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// do sends one request and logs it.
func (p *Planner) do(ctx context.Context, r web.Request) (web.Answer, error) {
	began := time.Now()
	got, err := p.web.Do(ctx, r)
	logging.Request(ctx, logging.Planner, logging.Exchange{Method: r.Method, Path: strings.TrimPrefix(r.URL, p.base),
		Status: got.Status, Took: time.Since(began), Err: err})
	return got, err
}

// state returns the configuration of each version.
func (d document) state() planner.State {
	text, err := json.Marshal(d.Versions)
	if err != nil {
		return nil // numbers always encode
	}
	return text
}

// plain reports whether setting the shares alone restores the state: whole percents of one or two versions that are up.
func (d document) plain() bool {
	const most = 2
	busy := 0
	for _, v := range d.Versions {
		if v.Percent != math.Round(v.Percent) || !deployed(v) && v.Percent > 0 {
			return false
		}
		if v.Percent > 0 {
			busy++
		}
	}
	return busy <= most
}

// by returns who makes a change: an execution, or this provider if none is named.
func by(execution string) string { return cmp.Or(execution, planner.By) }

func deployed(v version) bool { return v.Deployed == nil || *v.Deployed }

func verb(up bool) string {
	if up {
		return "deploy"
	}
	return "decommission"
}

func shares(versions map[string]version) map[string]float64 {
	out := map[string]float64{}
	for name, v := range versions {
		out[name] = v.Percent
	}
	return out
}

// equal compares shares exactly, unlike planner.Same.
func equal(a, b map[string]float64) bool { return maps.Equal(a, b) }

// decode decodes a state, which must name exactly the versions that the API has now.
func (p *Planner) decode(now planner.Split, state planner.State) (map[string]version, error) {
	var versions map[string]version
	if err := json.Unmarshal(state, &versions); err != nil {
		return nil, p.problem("The state to restore is invalid", err.Error(), planner.ErrShares)
	}
	if got := slices.Sorted(maps.Keys(versions)); !slices.Equal(got, now.Versions()) {
		return nil, p.problem("The state to restore belongs to other versions",
			fmt.Sprintf("It names %s, and the API %s.", strings.Join(got, ", "), strings.Join(now.Versions(), ", ")),
			planner.ErrShares)
	}
	return versions, nil
}
