package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Server is the cluster that holds the journal.
type Server interface {
	// Send sends the request to a node and returns its answer, whatever its status. The request's URL has a path and a
	// query; address and credentials are the server's. It does not send again what a node may have seen. An error that
	// can't mend itself wraps ErrFinal.
	Send(req *http.Request) (*http.Response, error)
}

// ErrFinal marks an error of a Server that trying again does not mend, such as a certificate that is not trusted.
var ErrFinal = errors.New("trying again does not help")

const (
	// patience bounds the attempts at one request. A node that restarts is back before.
	patience = 2 * time.Minute
	// openPatience is that of Open: a plan should not wait long to say that there is no journal.
	openPatience = 10 * time.Second
	// beatPatience is that of one beat, which comes every 10 s.
	beatPatience = 10 * time.Second
	// attemptPatience bounds one attempt; serverPatience is how long the server may wait for a shard within it.
	attemptPatience = 20 * time.Second
	serverPatience  = "10s"
	// rest is how long, after patience ran out, nobody is patient again: a thousand resources should not each wait for
	// a cluster that is down.
	rest = 30 * time.Second
	// firstPause doubles with each attempt up to longestPause, with up to as much again by chance.
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
	// mostRead bounds an answer, in bytes. A page of entries with the largest bodies has some 200 MiB.
	mostRead = 300 << 20
)

// request is one call of the server's API.
type request struct {
	// what names it for people, in the imperative.
	what   string
	method string
	// path has its query with it.
	path string
	body []byte
	// read takes the answer of a success. An answer that it can't read counts as lost, and the request is sent again.
	// Nil: the status is enough.
	read func(body []byte) error
}

// statusError is an answer other than success that sending again does not change.
type statusError struct {
	what         string
	status       int
	kind, reason string
}

// Error implements error.
func (e *statusError) Error() string {
	return fmt.Sprintf("%s: Elasticsearch answered %d: %s: %s", e.what, e.status, e.kind, e.reason)
}

// answered tells whether err is an answer with the status.
func answered(err error, status int) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == status
}

// isKind tells whether err is an answer with the server's type of error.
func isKind(err error, kind string) bool {
	var e *statusError
	return errors.As(err, &e) && e.kind == kind
}

// missingIndex is the server's type of error for an index that is not there.
const missingIndex = "index_not_found_exception"

// do sends the request until it is answered for good, the patience has run out or ctx ends. All requests of this
// package may be sent again.
func (s *Store) do(ctx context.Context, r request) error {
	began := s.clock.Now()
	until := began
	if began.UnixNano() >= s.restUntil.Load() {
		until = began.Add(s.patience)
	}
	var last error
	for attempt := 0; ; attempt++ {
		if s.closed.Load() {
			return errClosed
		}
		wait, err := s.attempt(ctx, r)
		if cause := ctx.Err(); cause != nil && err != nil {
			return errors.Join(fmt.Errorf("journal %s: %w", s.index, cause), last)
		}
		last = err
		var final *statusError
		switch {
		case err == nil:
			s.restUntil.Store(0)
			return nil
		case errors.As(err, &final) || errors.Is(err, ErrFinal):
			return err
		}
		pause := max(wait, backoff(attempt))
		if now := s.clock.Now(); now.Add(pause).After(until) {
			s.restUntil.Store(now.Add(rest).UnixNano())
			return &unansweredError{tries: attempt + 1, last: err}
		}
		if err := s.clock.Sleep(ctx, pause); err != nil {
			return errors.Join(fmt.Errorf("journal %s: %w", s.index, ctx.Err()), last)
		}
	}
}

// unansweredError is the end of the patience.
type unansweredError struct {
	tries int
	last  error
}

// Error implements error.
func (e *unansweredError) Error() string {
	if e.tries == 1 {
		return e.last.Error()
	}
	return fmt.Sprintf("%s (tried %d times)", e.last, e.tries)
}

// Unwrap returns the last cause.
func (e *unansweredError) Unwrap() error { return e.last }

func backoff(attempt int) time.Duration {
	const doublings = 5
	wait := min(firstPause<<min(attempt, doublings), longestPause)
	return wait + rand.N(wait) //nolint:gosec // spreads load, hides nothing
}

// attempt sends the request once. A *statusError is for good; after any other error it may be sent again, not before
// the wait that the server asks for.
func (s *Store) attempt(ctx context.Context, r request) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.server.Send(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostRead+1))
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: read the answer: %w", r.what, err)
	case len(text) > mostRead:
		return 0, &statusError{what: r.what, status: res.StatusCode, kind: "too large",
			reason: fmt.Sprintf("more than %d bytes", mostRead)}
	}
	const success = 2
	if res.StatusCode/100 == success {
		if r.read == nil {
			return 0, nil
		}
		if err := r.read(text); err != nil {
			return 0, fmt.Errorf("%s: %w", r.what, err)
		}
		return 0, nil
	}
	refused, told := s.refusal(r.what, res.StatusCode, text)
	if passing(res.StatusCode) || !told {
		return retryAfter(res.Header.Get("Retry-After"), s.clock.Now()), errors.New(refused.Error())
	}
	return 0, refused
}

// passing tells whether the status may be another one next time. While a node goes down it answers 500 as well.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status >= http.StatusInternalServerError
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// refusal reads why the server refused, and whether it is the server that says so: what isn't JSON is half an answer,
// or that of something in between.
func (s *Store) refusal(what string, status int, text []byte) (out *statusError, told bool) {
	const shown = 200
	out = &statusError{what: what, status: status, kind: http.StatusText(status)}
	var said struct {
		Error json.RawMessage `json:"error"`
	}
	var cause struct{ Type, Reason string }
	if json.Unmarshal(text, &said) == nil && json.Unmarshal(said.Error, &cause) == nil {
		out.kind, out.reason = s.secrets.String(cause.Type), cause.Reason
	} else {
		// Masked before it is cut: part of a secret at the end is no longer recognised.
		masked := s.secrets.String(string(text))
		out.reason = strings.TrimSpace(strings.ToValidUTF8(masked[:min(len(masked), shown)], ""))
	}
	out.reason = s.secrets.String(out.reason)
	return out, json.Valid(text) || status == http.StatusUnauthorized || status == http.StatusForbidden
}

// decode reads an answer into out, anew at each attempt, and lets check refuse what is not all of an answer.
func decode[T any](out *T, check func(T) error) func([]byte) error {
	return func(body []byte) error {
		var answer T
		err := json.Unmarshal(body, &answer)
		if err == nil {
			err = check(answer)
		}
		if err != nil {
			return fmt.Errorf("an answer that is not as expected: %w", err)
		}
		*out = answer
		return nil
	}
}
