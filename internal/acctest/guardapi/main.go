// Command guardapi is a small server of the ApplyLens planner guard API, written from its contract and from its
// observed behavior: extra fields, no revision, and a detector that rolls back whenever the status is read.
//
// POST /test/breach and /test/calm are additions for tests: they put the detector into breach and out of it.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"sync"
	"time"
)

type configuration struct {
	CanaryPct  float64 `json:"canary_pct"`
	KillSwitch bool    `json:"kill_switch"`
	Version    string  `json:"config_schema"`
}

type server struct {
	mu     sync.Mutex
	config configuration
	breach bool
}

func main() {
	address := flag.String("address", "127.0.0.1:0", "where to listen")
	flag.Parse()
	s := &server{config: configuration{CanaryPct: 10, Version: "extra"}}
	const timeout = 10 * time.Second
	log.Fatal((&http.Server{Addr: *address, Handler: s.routes(), ReadHeaderTimeout: timeout}).ListenAndServe())
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /guard/status", s.status)
	mux.HandleFunc("PUT /guard/config", s.put)
	mux.HandleFunc("POST /guard/rollback", s.rollback)
	mux.HandleFunc("POST /test/breach", func(http.ResponseWriter, *http.Request) { s.detect(true) })
	mux.HandleFunc("POST /test/calm", func(http.ResponseWriter, *http.Request) { s.detect(false) })
	return mux
}

func (s *server) detect(breach bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breach = breach
}

type object = map[string]any

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// status returns the configuration from before the rollback that it causes.
func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.config
	evaluation := object{"action": "none", "reason": "", "breaches": []any{}, "evaluated_by": "extra"}
	if s.breach {
		evaluation = object{"action": "rollback", "reason": "accuracy dropped",
			"breaches": []any{object{"metric": "accuracy", "drop": 0.13}}}
		s.config.CanaryPct, s.config.KillSwitch = 0, true
	}
	answer(w, http.StatusOK, object{
		"config": before, "stats": object{"canary_runs": 42}, "evaluation": evaluation,
		"thresholds": object{"accuracy": 0.1}, "extra": []int{1},
	})
}

func (s *server) put(w http.ResponseWriter, r *http.Request) {
	var body struct {
		CanaryPct  *float64 `json:"canary_pct"`
		KillSwitch *bool    `json:"kill_switch"`
		UpdatedBy  string   `json:"updated_by"`
	}
	const longest = 255
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.UpdatedBy) > longest {
		answer(w, http.StatusUnprocessableEntity, object{"detail": []object{{"msg": "wrong type"}}})
		return
	}
	if p := body.CanaryPct; p != nil && (*p < 0 || *p > 100) {
		answer(w, http.StatusBadRequest, object{"detail": "canary_pct must be between 0 and 100"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body.CanaryPct != nil {
		s.config.CanaryPct = *body.CanaryPct
	}
	if body.KillSwitch != nil {
		s.config.KillSwitch = *body.KillSwitch
	}
	answer(w, http.StatusOK, object{"success": true, "config": s.config, "updated_by": body.UpdatedBy,
		"updated_at": time.Now().UTC()})
}

func (s *server) rollback(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Reason == "" {
		answer(w, http.StatusUnprocessableEntity, object{"detail": []object{{"msg": "reason is required"}}})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.CanaryPct, s.config.KillSwitch = 0, true
	answer(w, http.StatusOK, object{"config": s.config, "message": "rolled back", "reason": body.Reason})
}
