// Package incidenttest is an incident service for tests. It answers as the API is specified, or as the service was
// observed to answer, with the faults that were observed.
package incidenttest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Token is the token that the service accepts for changes.
const Token = "incident-token-of-the-test"

// Shape is the form of the answers.
type Shape string

// Shapes.
const (
	Specified Shape = "as specified"
	Observed  Shape = "as observed"
)

// Shapes lists them.
func Shapes() []Shape { return []Shape{Specified, Observed} }

// Fault is what happens to a request.
type Fault struct {
	// Status is the status of the answer. 0: the connection is cut.
	Status int
	// Body is the answer, and Type its content type.
	Body, Type string
	// RetryAfter is the header of that name, or empty.
	RetryAfter string
	// After makes the change before it answers with the fault.
	After bool
	// Half sends only the first half of the real answer.
	Half bool
	// Times is how many requests get the fault. 0: all.
	Times int
	// Stop stops the service with this request: no later request is answered until Repair.
	Stop bool
}

// Seen is a request that the proxy received.
type Seen struct{ Method, Path, Body, Origin string }

// String writes the request in one line.
func (s Seen) String() string { return strings.TrimSpace(s.Method + " " + s.Path + " " + s.Body) }

// Incident is an incident of the service.
type Incident struct {
	Status, Severity, Summary string
	Metadata                  map[string]any
}

// Server is a running service.
type Server struct {
	// URL is its base URL, including /api.
	URL   string
	shape Shape

	// AnyToken accepts every token.
	AnyToken bool

	mu        sync.Mutex
	incidents map[string]*Incident
	faults    map[string]*Fault
	stopped   bool
	seen      []Seen
}

// Start starts a service with one open incident, 7, and stops it at the end of the test.
func Start(t testing.TB, shape Shape) *Server {
	t.Helper()
	s := New(shape)
	running := httptest.NewServer(s)
	running.Config.ErrorLog = nil
	t.Cleanup(running.Close)
	s.URL = running.URL + "/api"
	return s
}

// New returns a service that is not listening yet.
func New(shape Shape) *Server {
	s := &Server{shape: shape, incidents: map[string]*Incident{}, faults: map[string]*Fault{}}
	s.Put("7", Incident{Status: "open", Severity: "sev2", Summary: "Quality dropped to 78%"})
	return s
}

// Put adds or replaces an incident.
func (s *Server) Put(id string, i Incident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.Metadata == nil {
		i.Metadata = map[string]any{}
	}
	s.incidents[id] = &i
}

// Get returns a copy of an incident.
func (s *Server) Get(id string) Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := *s.incidents[id]
	i.Metadata = maps.Clone(i.Metadata)
	return i
}

// Spoil injects a fault into requests whose path ends in a name, such as "resolve" or "history". "" is a read of an
// incident.
func (s *Server) Spoil(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = &f
}

// Repair removes all faults, and starts the service again.
func (s *Server) Repair() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
	s.stopped = false
}

// Seen returns the requests so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Changes returns the requests so far that are not reads.
func (s *Server) Changes() []string {
	var out []string
	for _, r := range s.Seen() {
		if r.Method != http.MethodGet {
			out = append(out, r.String())
		}
	}
	return out
}

// ServeHTTP implements http.Handler, with and without /api.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	path := strings.TrimPrefix(r.URL.Path, "/api")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, Seen{r.Method, path, string(body), r.Header.Get("X-Opaque-Id")})
	if s.stopped {
		panic(http.ErrAbortHandler)
	}
	f := s.fault(path)
	s.stopped = f != nil && f.Stop
	var answer *httptest.ResponseRecorder
	if f == nil || f.After || f.Half {
		answer = httptest.NewRecorder()
		s.route(answer, r, path, body)
	}
	switch {
	case f == nil:
		send(w, answer.Code, answer.Header(), answer.Body.Bytes())
	case f.Half:
		text := answer.Body.Bytes()
		send(w, answer.Code, answer.Header(), text[:len(text)/2])
	case f.Status == 0:
		panic(http.ErrAbortHandler)
	default:
		header := http.Header{"Content-Type": {f.Type}}
		if f.RetryAfter != "" {
			header.Set("Retry-After", f.RetryAfter)
		}
		send(w, f.Status, header, []byte(f.Body))
	}
}

func send(w http.ResponseWriter, status int, header http.Header, body []byte) {
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (s *Server) fault(path string) *Fault {
	name := path[strings.LastIndex(path, "/")+1:]
	if strings.HasPrefix(path, "/incidents/") && strings.Count(path, "/") == 2 {
		name = ""
	}
	f := s.faults[name]
	if f == nil {
		return nil
	}
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			delete(s.faults, name)
		}
	}
	return f
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "playbooks" {
		parts = parts[1:]
	}
	if len(parts) == 1 && parts[0] == "incidents" && r.Method == http.MethodGet {
		s.list(w)
		return
	}
	if len(parts) < 2 || parts[0] != "incidents" {
		s.fail(w, http.StatusNotFound, "Not Found")
		return
	}
	id, what := parts[1], strings.Join(parts[2:], "/")
	if _, err := strconv.Atoi(id); err != nil && s.shape == Observed {
		write(w, http.StatusUnprocessableEntity, map[string]any{"detail": []any{map[string]any{"type": "int_parsing",
			"loc": []string{"path", "incident_id"}, "msg": "Input should be a valid integer", "input": id}}})
		return
	}
	if r.Method != http.MethodGet && r.Header.Get("Authorization") != "Bearer "+Token && !s.AnyToken {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "Forbidden")
		return
	}
	i, ok := s.incidents[id]
	switch {
	case !ok:
		s.fail(w, http.StatusNotFound, "Incident not found")
	case r.Method == http.MethodGet && what == "":
		write(w, http.StatusOK, s.shown(id, i))
	case r.Method == http.MethodGet && what == "actions":
		s.answerList(w, "actions", []any{map[string]any{"action_type": "rerun_dbt", "display_name": "Rerun dbt models",
			"description": "Runs the models again.", "params": map[string]any{"models": []string{"inbox_emails"}},
			"requires_approval": false}})
	case r.Method == http.MethodGet && what == "actions/history":
		s.answerList(w, "history", []any{map[string]any{"id": 2, "action_type": "rerun_dbt",
			"params": map[string]any{"models": []string{"inbox_emails"}}, "dry_run": false, "status": "success",
			"approved_by": "engineer@example.com", "created_at": "2025-10-17T10:05:00Z",
			"result": map[string]any{"actual_duration": 720, "logs_url": "https://logs.example.com/123"}}})
	case r.Method == http.MethodPost && !strings.Contains(what, "/"):
		s.change(w, id, what, body)
	default:
		s.fail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	}
}

func (s *Server) list(w http.ResponseWriter) {
	all := []any{}
	for _, id := range slices.Sorted(maps.Keys(s.incidents)) {
		all = append(all, s.shown(id, s.incidents[id]))
	}
	write(w, http.StatusOK, map[string]any{"incidents": all, "total": len(all), "page": 1, "per_page": 50})
}

func (s *Server) answerList(w http.ResponseWriter, name string, all []any) {
	if s.shape == Observed {
		write(w, http.StatusOK, all)
		return
	}
	write(w, http.StatusOK, map[string]any{name: all})
}

// change makes a transition with the rules and the faults that were observed.
func (s *Server) change(w http.ResponseWriter, id, verb string, body []byte) {
	t, ok := map[string]struct {
		from    []string
		to, key string
	}{
		"acknowledge": {[]string{"open"}, "acknowledged", "ack_notes"},
		"mitigate":    {[]string{"open", "acknowledged"}, "mitigated", "mitigation_notes"},
		"resolve":     {[]string{"acknowledged", "mitigated"}, "resolved", "resolution_notes"},
		"close":       {[]string{"resolved", "mitigated"}, "closed", "close_notes"},
	}[verb]
	var asked struct {
		Notes string `json:"notes"`
	}
	i := s.incidents[id]
	switch {
	case !ok:
		s.fail(w, http.StatusNotFound, "Not Found")
		return
	case json.Unmarshal(body, &asked) != nil:
		s.fail(w, http.StatusUnprocessableEntity, "a JSON object is required")
		return
	case !slices.Contains(t.from, i.Status):
		s.fail(w, http.StatusBadRequest, fmt.Sprintf("Cannot %s incident in %s state", verb, i.Status))
		return
	}
	i.Status = t.to
	// The observed service loses what is added to metadata that is not empty.
	if asked.Notes != "" && (s.shape == Specified || len(i.Metadata) == 0) {
		i.Metadata[t.key] = asked.Notes
	}
	if s.shape == Observed && verb == "acknowledge" {
		w.Header().Set("Content-Type", "text/plain") // it fails after the change is committed
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "Internal Server Error")
		return
	}
	if s.shape == Specified {
		write(w, http.StatusOK, s.shown(id, i))
		return
	}
	write(w, http.StatusOK, map[string]any{"success": true, "incident": s.shown(id, i)})
}

func (s *Server) shown(id string, i *Incident) map[string]any {
	var number any = id
	if n, err := strconv.Atoi(id); err == nil && s.shape == Observed {
		number = n
	}
	return map[string]any{"id": number, "status": i.Status, "severity": i.Severity, "summary": i.Summary,
		"created_at": "2025-10-17T10:00:00", "metadata": i.Metadata, "assigned_to": nil}
}

func (s *Server) fail(w http.ResponseWriter, status int, message string) {
	if s.shape == Observed {
		write(w, status, map[string]any{"detail": message})
		return
	}
	write(w, status, map[string]any{"error": map[string]any{"code": http.StatusText(status), "message": message,
		"details": map[string]any{}}})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
