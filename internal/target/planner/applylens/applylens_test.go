package applylens_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"errors"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/guardtest"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/applylens"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/plannertest"
)

func open(url string) *applylens.Planner {
	return applylens.New(applylens.Config{URL: url, Token: "token-of-the-test", Stable: "v1", Canary: "v2"})
}

func send(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plannertest.Run(t, func(t *testing.T) plannertest.Backend {
		t.Helper()
		url := guardtest.Start(t).URL
		return plannertest.Backend{
			Planner: open(url), Second: open(url), Weak: true,
			Foreign: func(t *testing.T, percent float64) {
				t.Helper()
				send(t, http.MethodPut, url+"/guard/config",
					fmt.Sprintf(`{"canary_pct": %g, "updated_by": "somebody"}`, percent))
			},
			Odd: odd(url),
		}
	})
}

// odd are states that other clients of the API leave.
func odd(url string) map[string]func(t *testing.T) {
	out := map[string]func(t *testing.T){}
	for name, body := range map[string]string{
		"a third":                `{"canary_pct": 33.333, "kill_switch": false}`,
		"many digits":            `{"canary_pct": 33.33333333333333, "kill_switch": false}`,
		"a tenth of a percent":   `{"canary_pct": 0.1, "kill_switch": false}`,
		"almost everything":      `{"canary_pct": 99.9, "kill_switch": false}`,
		"everything":             `{"canary_pct": 100, "kill_switch": false}`,
		"nothing":                `{"canary_pct": 0, "kill_switch": false}`,
		"off":                    `{"canary_pct": 0, "kill_switch": true}`,
		"off, with a share left": `{"canary_pct": 40, "kill_switch": true}`,
	} {
		out[name] = func(t *testing.T) { t.Helper(); send(t, http.MethodPut, url+"/guard/config", body) }
	}
	return out
}

func TestStandingBreachIsNoted(t *testing.T) {
	t.Parallel()
	url := guardtest.Start(t).URL
	send(t, http.MethodPost, url+"/test/breach", "")
	s, err := open(url).Read(t.Context())
	if err != nil || s.Shares["v2"] != 0 || s.Deployed("v2") || len(s.Notes) != 1 ||
		!strings.Contains(s.Notes[0], "every read of its status, this one included") {
		t.Errorf("split %+v, %v", s, err)
	}
	// A split that is set during the breach does not last, and the change says so.
	set, err := open(url).Set(t.Context(), planner.Change{Revision: s.Revision,
		Shares: map[string]float64{"v1": 75, "v2": 25}, Reason: "a test"})
	if err != nil || set.Shares["v2"] != 0 {
		t.Errorf("split %+v, %v", set, err)
	}
	if said := problem.Of(planner.Moved(set), "").What; !strings.Contains(said, "the guard API rolled back") ||
		!strings.Contains(said, "accuracy dropped") {
		t.Errorf("it is blamed on %q", said)
	}
}

func TestKillSwitch(t *testing.T) {
	t.Parallel()
	url := guardtest.Start(t).URL
	send(t, http.MethodPut, url+"/guard/config", `{"kill_switch": true}`)
	p := open(url)
	s, err := p.Read(t.Context())
	if err != nil || s.Deployed("v2") || !s.Latent {
		t.Fatalf("split %+v, %v", s, err)
	}
	if s, err = p.Set(t.Context(), planner.Change{Revision: s.Revision,
		Shares: map[string]float64{"v1": 75, "v2": 25}}); err != nil || s.Shares["v2"] != 25 || s.Deployed("v2") {
		t.Errorf("a share while it is off: %+v, %v", s, err)
	}
	if err := p.Deploy(t.Context(), planner.Version{Name: "v2"}); err != nil {
		t.Fatal(err)
	}
	if s, err = p.Read(t.Context()); err != nil || !s.Deployed("v2") || s.Shares["v2"] != 25 {
		t.Errorf("after the deployment: %+v, %v", s, err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	healthy := `{"config": {"canary_pct": 10, "kill_switch": false}, "evaluation": {}}`
	for name, tt := range map[string]struct {
		read, write           string
		readStatus, putStatus int
		want                  error
	}{
		"bad percent":    {healthy, `{"detail": "no"}`, 200, 400, planner.ErrShares},
		"wrong type":     {healthy, `{"detail": []}`, 200, 422, planner.ErrShares},
		"write is lost":  {healthy, `boom`, 200, 500, planner.ErrUncertain},
		"for later":      {healthy, `{}`, 200, 202, planner.ErrUncertain},
		"no answer":      {healthy, ``, 200, 204, planner.ErrUncertain},
		"forbidden":      {healthy, `no`, 200, 403, planner.ErrForbidden},
		"not confirmed":  {healthy, `{"success": false}`, 200, 200, planner.ErrUncertain},
		"another share":  {healthy, `{"success": true, "config": {"canary_pct": 1}}`, 200, 200, planner.ErrUncertain},
		"no guard API":   {`<html>`, "", 200, 200, planner.ErrMalformed},
		"no share":       {`{"config": {}}`, "", 200, 200, planner.ErrMalformed},
		"status 404":     {`{}`, "", 404, 200, planner.ErrMalformed},
		"percent of 101": {`{"config": {"canary_pct": 101}}`, "", 200, 200, planner.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var writes atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				code, text := tt.readStatus, tt.read
				if r.Method == http.MethodPut {
					writes.Add(1)
					code, text = tt.putStatus, tt.write
				}
				if r.Header.Get("Authorization") != "Bearer token-of-the-test" {
					t.Error("no token was sent")
				}
				w.WriteHeader(code)
				_, _ = w.Write([]byte(text + "token-of-the-test")[:len(text)])
			}))
			defer s.Close()
			_, err := open(s.URL).Set(t.Context(), planner.Change{Revision: "10; kill switch false",
				Shares: map[string]float64{"v1": 75, "v2": 25}})
			if !errors.Is(err, tt.want) || writes.Load() > 1 {
				t.Errorf("%d writes, error %v", writes.Load(), err)
			}
		})
	}
}

func TestReadsThatChangeTheSplitAreReported(t *testing.T) {
	t.Parallel()
	var p planner.Planner = open("http://127.0.0.1:1")
	if changing, ok := p.(planner.SelfChanging); !ok || !changing.ReadsChange() {
		t.Error("it would be read for drift")
	}
}

// TestProjectionsAreWhatAChangeLeaves compares what Project computes with what Set does: a change that names only the
// stable version, and changes while the detector is in breach.
func TestProjectionsAreWhatAChangeLeaves(t *testing.T) {
	t.Parallel()
	url := guardtest.Start(t).URL
	p := open(url)
	now, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{"v1": 100}
	after, ok := planner.Project(p, now, planner.Effect{Shares: all})
	left, err := p.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: all})
	if err != nil || !ok || !planner.Same(after.Shares, left.Shares) {
		t.Errorf("projected %v (%t), set %v, %v", after.Shares, ok, left.Shares, err)
	}
	send(t, http.MethodPost, url+"/test/breach", "")
	if now, err = p.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, ok = planner.Project(p, now, planner.Effect{Shares: map[string]float64{"v1": 75, "v2": 25}}); ok {
		t.Errorf("projected %v, which the API will roll back", after.Shares)
	}
	if after, ok = planner.Project(p, now, planner.Effect{Shares: all}); !ok || after.Shares["v2"] != 0 {
		t.Errorf("projected %v (%t), want what the API leaves", after.Shares, ok)
	}
}

// TestUnreadableSplitAfterAChangeIsUncertain answers reads after a change with 500.
func TestUnreadableSplitAfterAChangeIsUncertain(t *testing.T) {
	t.Parallel()
	const healthy = `{"config": {"canary_pct": 10, "kill_switch": false}, "evaluation": {}}`
	for name, change := range map[string]func(p *applylens.Planner) error{
		"set": func(p *applylens.Planner) error {
			_, err := p.Set(t.Context(), planner.Change{Revision: "10; kill switch false",
				Shares: map[string]float64{"v1": 75, "v2": 25}})
			return err
		},
		"restore": func(p *applylens.Planner) error {
			_, err := p.Restore(t.Context(), planner.Restoration{Revision: "10; kill switch false",
				State: planner.State(`{"canary_pct": 25, "kill_switch": false}`)})
			return err
		},
	} {
		var changed atomic.Bool
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				changed.Store(true)
				_, _ = w.Write([]byte(`{"success": true, "config": {"canary_pct": 25, "kill_switch": false}}`))
			case changed.Load():
				w.WriteHeader(http.StatusInternalServerError)
			default:
				_, _ = w.Write([]byte(healthy))
			}
		}))
		if err := change(open(s.URL)); !errors.Is(err, planner.ErrUncertain) || !changed.Load() {
			t.Errorf("%s: changed %t, error %v", name, changed.Load(), err)
		}
		s.Close()
	}
}
