package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/plannertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	plannertest.Run(t, func(t *testing.T) plannertest.Backend {
		t.Helper()
		api := controlapi.New()
		s := httptest.NewServer(api.Handler())
		t.Cleanup(s.Close)
		return plannertest.Backend{
			Planner: httpapi.New(s.URL, ""), Second: httpapi.New(s.URL+"/", ""),
			Foreign: func(_ *testing.T, percent float64) { api.Move(percent) },
			Odd:     odd(api),
		}
	})
}

// odd are states that other clients of the API leave.
func odd(api *controlapi.Server) map[string]func(t *testing.T) {
	out := map[string]func(t *testing.T){}
	type versions = map[string]controlapi.Version
	for name, state := range map[string]versions{
		"half a percent":    {"v1": {Percent: 99.5, Deployed: true}, "v2": {Percent: 0.5, Deployed: true}},
		"12.5 percent":      {"v1": {Percent: 87.5, Deployed: true}, "v2": {Percent: 12.5, Deployed: true}},
		"even":              {"v1": {Percent: 50, Deployed: true}, "v2": {Percent: 50, Deployed: true}},
		"canary down":       {"v1": {Percent: 100, Deployed: true}, "v2": {}},
		"everything canary": {"v1": {Percent: 0, Deployed: true}, "v2": {Percent: 100, Deployed: true}},
		"three versions": {"v0": {Percent: 20, Deployed: true}, "v1": {Percent: 50, Deployed: true},
			"v2": {Percent: 30, Deployed: true}},
		"three, one down": {"v0": {}, "v1": {Percent: 90, Deployed: true}, "v2": {Percent: 10, Deployed: true}},
		"three, one idle": {"v0": {Deployed: true}, "v1": {Percent: 90, Deployed: true},
			"v2": {Percent: 10, Deployed: true}},
	} {
		out[name] = func(*testing.T) { api.Become(state) }
	}
	return out
}

const token = "token-of-the-test"

// set changes a split behind a handler that gets requests before the API.
func set(t *testing.T, front func(w http.ResponseWriter, r *http.Request) bool) (*controlapi.Server, error) {
	t.Helper()
	api := controlapi.New()
	inner := api.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !front(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	p := httpapi.New(s.URL, token)
	now, err := p.Read(t.Context())
	if err != nil {
		return api, err
	}
	_, err = p.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: map[string]float64{"v1": 75, "v2": 25}})
	return api, err
}

func answer(w http.ResponseWriter, code int, text string) bool {
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
	return true
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	split := func(body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", `"1"`)
			return answer(w, http.StatusOK, body)
		}
	}
	onWrite := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method != http.MethodGet && answer(w, code, "no, "+token)
		}
	}
	for name, tt := range map[string]struct {
		front func(http.ResponseWriter, *http.Request) bool
		want  error
	}{
		"a write fails":                  {onWrite(http.StatusInternalServerError), planner.ErrUncertain},
		"a write at 503":                 {onWrite(http.StatusServiceUnavailable), planner.ErrUncertain},
		"a write of junk":                {onWrite(http.StatusOK), planner.ErrUncertain},
		"a write accepted for later":     {onWrite(http.StatusAccepted), planner.ErrUncertain},
		"a write without a split":        {onWrite(http.StatusNoContent), planner.ErrUncertain},
		"a write that is sent elsewhere": {onWrite(http.StatusSeeOther), planner.ErrShares},
		"forbidden":                      {onWrite(http.StatusForbidden), planner.ErrForbidden},
		"unprocessable":                  {onWrite(http.StatusUnprocessableEntity), planner.ErrShares},
		"moved meanwhile":                {onWrite(http.StatusPreconditionFailed), planner.ErrMoved},
		"no JSON":                        {split("hello"), planner.ErrMalformed},
		"not 100":                        {split(`{"versions": {"v1": {"percent": 50}}}`), planner.ErrMalformed},
		"a name of two lines": {split(`{"versions": {"v1\nApproval    not needed": {"percent": 100}}}`),
			planner.ErrMalformed},
		"no ETag": {func(w http.ResponseWriter, _ *http.Request) bool {
			return answer(w, http.StatusOK, `{"versions": {"v1": {"percent": 100}}}`)
		}, planner.ErrMalformed},
		"not found": {func(w http.ResponseWriter, _ *http.Request) bool {
			return answer(w, http.StatusNotFound,
				"")
		}, planner.ErrMalformed},
		"answer breaks off": {func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method != http.MethodGet &&
				hangUp(w)
		}, planner.ErrUncertain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var writes atomic.Int32
			_, err := set(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet {
					writes.Add(1)
				}
				if r.Header.Get("Authorization") != "Bearer "+token {
					t.Error("no token was sent")
				}
				return tt.front(w, r)
			})
			if !errors.Is(err, tt.want) || writes.Load() > 1 {
				t.Errorf("%d writes, error %v", writes.Load(), err)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
}

func hangUp(w http.ResponseWriter) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	return err == nil && conn.Close() == nil
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	var refused atomic.Int32
	began := time.Now()
	api, err := set(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || refused.Add(1) > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		return answer(w, http.StatusTooManyRequests, "")
	})
	if err != nil || api.Versions["v2"].Percent != 25 || time.Since(began) < time.Second {
		t.Errorf("%v after %s, the split is %v", err, time.Since(began), api.Versions)
	}
}

// TestOtherSharesThanAskedForAreNotBlamedOnSomebody covers an API that answers its own change with another split.
func TestOtherSharesThanAskedForAreNotBlamedOnSomebody(t *testing.T) {
	t.Parallel()
	api := controlapi.New()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			api.Move(20)
			r.Method = http.MethodGet
		}
		api.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p := httpapi.New(s.URL, "")
	now, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := p.Set(t.Context(), planner.Change{Revision: now.Revision,
		Shares: map[string]float64{"v1": 75, "v2": 25}})
	if err != nil || set.Shares["v2"] != 20 || !strings.Contains(set.ChangedBy, "other shares than it was asked for") {
		t.Errorf("split %+v, %v", set, err)
	}
}

// TestSuccessOfAnotherServerIsRefused covers a success that a server other than the API reports.
func TestSuccessOfAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		done, junk bool
		want       error
	}{
		"done":                   {done: true},
		"done, answered by junk": {done: true, junk: true},
		"answered by junk":       {junk: true, want: planner.ErrUncertain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := controlapi.New()
			api.Become(map[string]controlapi.Version{"v1": {Percent: 100, Deployed: true},
				"v2": {Percent: 0, Deployed: true}})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet || !tt.junk {
					api.Handler().ServeHTTP(w, r)
					return
				}
				if tt.done {
					api.Handler().ServeHTTP(httptest.NewRecorder(), r)
				}
				answer(w, http.StatusOK, "<html>Please log in</html>")
			}))
			t.Cleanup(s.Close)
			p := httpapi.New(s.URL, "")
			if err := p.Decommission(t.Context(), planner.Version{Name: "v2"}); !errors.Is(err, tt.want) {
				t.Errorf("decommission: %v", err)
			}
			if up := api.Now()["v2"].Deployed; up == tt.done {
				t.Errorf("v2 is up: %t", up)
			}
		})
	}
}

func TestCountedRequestsAreRead(t *testing.T) {
	t.Parallel()
	api := controlapi.New()
	s := httptest.NewServer(api.Handler())
	t.Cleanup(s.Close)
	api.Count("v2", 7)
	now, err := httpapi.New(s.URL, "").Read(t.Context())
	if err != nil || now.Requests["v2"] != 7 {
		t.Errorf("requests %v, %v", now.Requests, err)
	}
}

func TestChangesNameTheirExecution(t *testing.T) {
	t.Parallel()
	api := controlapi.New()
	s := httptest.NewServer(api.Handler())
	t.Cleanup(s.Close)
	p := httpapi.New(s.URL, "")
	for by, want := range map[string]string{
		planner.Execution("4f9c2a17-12"): planner.By + " execution 4f9c2a17-12", "": planner.By,
	} {
		now, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Set(t.Context(), planner.Change{Revision: now.Revision, By: by,
			Shares: map[string]float64{"v1": 75, "v2": 25}}); err != nil || api.UpdatedBy() != want {
			t.Errorf("updated by %q, %v, want %q", api.UpdatedBy(), err, want)
		}
	}
}

// TestRefusedVersionChangeShowsTheSplitAsItIs moves the split between the read and the request that takes v2 down.
func TestRefusedVersionChangeShowsTheSplitAsItIs(t *testing.T) {
	t.Parallel()
	api := controlapi.New()
	api.Move(0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			api.Move(40)
		}
		api.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	err := httpapi.New(s.URL, "").Decommission(t.Context(), planner.Version{Name: "v2"})
	if !errors.Is(err, planner.ErrMoved) || !strings.Contains(err.Error(), "It is now v1 60%, v2 40%.") {
		t.Errorf("error %v", err)
	}
}

// TestRestorationThatFailsPartwayIsUncertain refuses the second of two requests of a restoration, and the first one in
// a restoration that needs only one.
func TestRestorationThatFailsPartwayIsUncertain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		up      bool
		refused string
		want    bool
	}{
		"the only request":           {up: true, refused: http.MethodPut},
		"the second of two requests": {refused: http.MethodPut, want: true},
		"the first of two requests":  {refused: http.MethodPost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := controlapi.New()
			api.Become(map[string]controlapi.Version{"v1": {Percent: 100, Deployed: true}, "v2": {Deployed: tt.up}})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == tt.refused {
					answer(w, http.StatusUnprocessableEntity, "no")
					return
				}
				api.Handler().ServeHTTP(w, r)
			}))
			t.Cleanup(s.Close)
			p := httpapi.New(s.URL, "")
			now, err := p.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Restore(t.Context(), planner.Restoration{Revision: now.Revision, State: planner.State(
				`{"v1": {"percent": 90, "deployed": true}, "v2": {"percent": 10, "deployed": true}}`)})
			if !errors.Is(err, planner.ErrShares) || errors.Is(err, planner.ErrUncertain) != tt.want {
				t.Errorf("uncertain: want %t, error %v", tt.want, err)
			}
		})
	}
}
