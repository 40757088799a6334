// Package controlapi is a small server of the planner's control API, as docs/planner-openapi.yaml describes it.
package controlapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"sync"
)

// Version is a version with its share.
type Version struct {
	Percent  float64 `json:"percent"`
	Deployed bool    `json:"deployed"`
}

// Server implements the API. The zero value has no versions.
type Server struct {
	mu       sync.Mutex
	revision int
	Stable   string
	Versions map[string]Version
	requests map[string]int64
	// updatedBy is who made the last change.
	updatedBy string
}

// New returns a server with 90% for v1, the stable version, and 10% for v2.
func New() *Server {
	return &Server{Stable: "v1", Versions: map[string]Version{"v1": {90, true}, "v2": {10, true}}}
}

// Handler returns the API's routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /split", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.show(w)
	})
	mux.HandleFunc("PUT /split", s.put)
	mux.HandleFunc("POST /versions/{version}/{verb}", s.turn)
	return mux
}

// Count adds requests that a version has received.
func (s *Server) Count(version string, requests int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests == nil {
		s.requests = map[string]int64{}
	}
	s.requests[version] += requests
}

// Move sets the share of v2 as another client would.
func (s *Server) Move(percent float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const whole = 100
	s.Versions = map[string]Version{"v1": {whole - percent, true}, "v2": {percent, true}}
	s.revision++
}

// Become sets all versions as another client would.
func (s *Server) Become(versions map[string]Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Versions = versions
	s.revision++
}

// UpdatedBy returns who changed the shares last.
func (s *Server) UpdatedBy() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updatedBy
}

// Now returns a copy of the versions.
func (s *Server) Now() map[string]Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.Versions)
}

func (s *Server) etag() string { return fmt.Sprintf("%q", fmt.Sprint(s.revision)) }

func (s *Server) show(w http.ResponseWriter) {
	w.Header().Set("ETag", s.etag())
	_ = json.NewEncoder(w).Encode(map[string]any{"stable": s.Stable, "versions": s.Versions, "resolution": 0.5,
		"region": "a field more", "requests": s.requests})
}

// fresh refuses a change that doesn't name the current revision.
func (s *Server) fresh(w http.ResponseWriter, r *http.Request) bool {
	switch r.Header.Get("If-Match") {
	case s.etag():
		return true
	case "":
		w.WriteHeader(http.StatusPreconditionRequired)
	default:
		w.WriteHeader(http.StatusPreconditionFailed)
	}
	return false
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Shares    map[string]float64 `json:"shares"`
		UpdatedBy string             `json:"updated_by"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh(w, r) {
		return
	}
	const whole, tolerance = 100, 0.001
	sum, next := 0.0, map[string]Version{}
	for name, v := range s.Versions {
		next[name] = Version{body.Shares[name], v.Deployed}
		sum += body.Shares[name]
	}
	if math.Abs(sum-whole) > tolerance {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.Versions, s.updatedBy = next, body.UpdatedBy
	s.revision++
	s.show(w)
}

func (s *Server) turn(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.PathValue("version")
	v, ok := s.Versions[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !s.fresh(w, r) {
		return
	}
	v.Deployed = r.PathValue("verb") == "deploy"
	s.Versions[name] = v
	s.revision++
	w.WriteHeader(http.StatusNoContent)
}
