package applylens

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
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
	logging.Request(ctx, logging.Planner, logging.Exchange{Method: r.Method,
		Path: strings.TrimPrefix(r.URL, p.cfg.URL), Status: got.Status, Took: time.Since(began), Err: err})
	return got, err
}

func (p *Planner) decode(state planner.State) (config, error) {
	var c config
	if err := json.Unmarshal(state, &c); err != nil {
		return config{}, p.problem("The state to restore is invalid", err.Error(), planner.ErrShares)
	}
	if c.CanaryPct == nil || math.IsNaN(*c.CanaryPct) || *c.CanaryPct < 0 || *c.CanaryPct > planner.Whole {
		return config{}, p.problem("The state to restore is invalid",
			"canary_pct is missing or not between 0 and 100.", planner.ErrShares)
	}
	return c, nil
}

// ReadsChange implements planner.SelfChanging: while its detector is in breach, the API rolls back when it is read.
func (p *Planner) ReadsChange() bool { return true }

// Restoring implements planner.Planner.
func (p *Planner) Restoring(_ planner.Split, state planner.State) (string, map[string]float64, error) {
	c, err := p.decode(state)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("PUT %s/guard/config canary_pct=%s kill_switch=%t", p.cfg.URL, planner.Number(*c.CanaryPct),
			c.KillSwitch),
		map[string]float64{p.cfg.Canary: *c.CanaryPct, p.cfg.Stable: planner.Whole - *c.CanaryPct}, nil
}

// Restore implements planner.Planner: share and kill switch in one request.
func (p *Planner) Restore(ctx context.Context, r planner.Restoration) (planner.Split, error) {
	want, err := p.decode(r.State)
	if err != nil {
		return planner.Split{}, err
	}
	now, err := p.Read(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if now.Revision != r.Revision {
		return planner.Split{}, planner.Moved(now)
	}
	set, err := p.update(ctx, update{CanaryPct: want.CanaryPct, KillSwitch: &want.KillSwitch, UpdatedBy: r.By,
		Reason: r.Reason})
	if err != nil {
		return planner.Split{}, err
	}
	if set.CanaryPct == nil || *set.CanaryPct != *want.CanaryPct || set.KillSwitch != want.KillSwitch {
		return planner.Split{}, p.problem("The guard API did not restore the split",
			"Its response shows a different one.",
			planner.ErrUncertain)
	}
	return p.after(ctx)
}
