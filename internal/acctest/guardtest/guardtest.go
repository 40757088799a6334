// Package guardtest runs the guard API as a separate program.
package guardtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// binary is the program, built once per test process.
var binary = sync.OnceValues(func() (string, error) {
	return acctest.BuildProgram("./internal/acctest/guardapi", "guardapi")
})

// Server is a running guard API. Its canary begins with 10%.
type Server struct{ URL string }

// Start starts one and stops it at the end of the test.
func Start(t testing.TB) Server {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	address := spawn.Address(t)
	s := Server{URL: "http://" + address}
	up := func() bool {
		resp, err := http.Get(s.URL + "/guard/status") //nolint:noctx // spawn gives up
		return err == nil && resp.Body.Close() == nil
	}
	spawn.Start(t, up, program, "-address", address)
	return s
}

// Set gives the canary a share, in percent of the traffic, and switches it on or off.
func (s Server) Set(t testing.TB, percent float64, up bool) {
	t.Helper()
	s.call(t, http.MethodPut, "/guard/config", map[string]any{"canary_pct": percent, "kill_switch": !up})
}

// Get returns the canary's share, in percent of the traffic, and whether it is on.
func (s Server) Get(t testing.TB) (percent float64, up bool) {
	t.Helper()
	return s.call(t, http.MethodGet, "/guard/status", nil)
}

func (s Server) call(t testing.TB, method, path string, body any) (percent float64, up bool) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Config struct {
			Percent float64 `json:"canary_pct"`
			Switch  bool    `json:"kill_switch"`
		} `json:"config"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return answer.Config.Percent, !answer.Config.Switch
}
