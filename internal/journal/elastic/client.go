package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

const (
	// retryFor is how long one request is sent again. A node that restarts is back before.
	retryFor = 2 * time.Minute
	// openRetryFor is that of Open: a plan should not wait long to say that there is no journal.
	openRetryFor = 10 * time.Second
	// attemptTimeout bounds one attempt; serverTimeout is how long the server may wait for a shard within it.
	attemptTimeout = 20 * time.Second
	serverTimeout  = "10s"
	// rest is how long, after retryFor ran out, each request is sent only once: a thousand resources should not each
	// wait for a cluster that is down.
	rest = 30 * time.Second
	// firstPause doubles with each attempt up to longestPause.
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
	// longestAnswer is in bytes. A page of entries with the largest bodies has some 200 MiB.
	longestAnswer = 300 << 20
)

// request is one call of the server's API. Every request of this package may be sent again.
type request struct {
	// what names it for people, in the imperative.
	what   string
	method string
	// path includes the query.
	path string
	body []byte
	// read takes a successful answer. An answer that it can't read counts as lost. Nil: the status is enough.
	read func(body []byte) error
}

// missingIndex is the server's type of error for an index that does not exist.
const missingIndex = "index_not_found_exception"

// do sends the request until it is answered, the time for retries has run out, or ctx ends.
func (s *Store) do(ctx context.Context, r request) error {
	retry := s.retry()
	if s.clock.Now().UnixNano() < s.restUntil.Load() {
		retry.Attempts = 1
	}
	err := s.client.Do(ctx, s.call(r, retry))
	switch {
	case err == nil:
		s.restUntil.Store(0)
	case ctx.Err() != nil:
		return fmt.Errorf("journal %s: %w", s.index, errors.Join(ctx.Err(), err))
	case unanswered(err):
		s.restUntil.Store(s.clock.Now().Add(rest).UnixNano())
	}
	return err
}

func (s *Store) retry() elasticsearch.Retry {
	return elasticsearch.Retry{
		For: s.retryFor, Attempt: s.limits.attempt, Pause: firstPause, Longest: longestPause, Patient: true,
		Stop: func() error {
			if s.closed.Load() {
				return errClosed
			}
			return nil
		},
	}
}

func (s *Store) call(r request, retry elasticsearch.Retry) elasticsearch.Call {
	return elasticsearch.Call{
		What: r.what, Request: elasticsearch.Plain{Method: r.method, Path: r.path, Body: r.body}, Read: r.read,
		Timeout: -1, Retry: retry, Limit: longestAnswer, Log: logging.Journal,
	}
}

// unanswered reports whether err may be gone next time.
func unanswered(err error) bool {
	for _, lasting := range []error{
		errClosed, elasticsearch.ErrConfiguration, elasticsearch.ErrTLS, elasticsearch.ErrNotElasticsearch,
		elasticsearch.ErrTooLong,
	} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return elasticsearch.FateOf(err) != elasticsearch.Refused || elasticsearch.Passing(err)
}

// decode reads an answer into out, anew at each attempt, and lets check refuse an incomplete one.
func decode[T any](out *T, check func(T) error) func([]byte) error {
	return func(body []byte) error {
		var answer T
		err := json.Unmarshal(body, &answer)
		if err == nil {
			err = check(answer)
		}
		if err == nil {
			*out = answer
		}
		return err
	}
}
