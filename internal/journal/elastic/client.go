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
	// retryFor is how long a request is retried. A restarting node is back sooner.
	retryFor = 2 * time.Minute
	// openRetryFor is how long Open retries. A plan should soon report that the journal can't be reached.
	openRetryFor = 10 * time.Second
	// attemptTimeout bounds one attempt. serverTimeout is how long the server may wait for a shard within it.
	attemptTimeout = 20 * time.Second
	serverTimeout  = "10s"
	// rest is how long requests are sent only once after retryFor has run out. Otherwise each of a thousand resources
	// would wait for a cluster that is down.
	rest = 30 * time.Second
	// firstPause doubles with each attempt, up to longestPause.
	firstPause   = 100 * time.Millisecond
	longestPause = 3 * time.Second
	// longestAnswer is the length of the longest answer that is read, in bytes. A page of entries with the largest
	// bodies has about 200 MiB.
	longestAnswer = 300 << 20
)

// request is one API call. Every request in this package is safe to retry.
type request struct {
	// what names the operation for people, in the imperative.
	what   string
	method string
	// path includes the query.
	path string
	body []byte
	// read decodes a successful answer. An answer that it can't read counts as lost. If read is nil, the status is
	// enough.
	read func(body []byte) error
}

// missingIndex is the server's error type for an index that does not exist.
const missingIndex = "index_not_found_exception"

// do sends the request until it is answered, the time for retries runs out, or ctx ends.
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
		For: s.retryFor, Attempt: s.limits.attempt, Pause: firstPause, Longest: longestPause, ServerErrors: true,
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

// unanswered reports whether a retry may succeed.
func unanswered(err error) bool {
	for _, permanent := range []error{
		errClosed, elasticsearch.ErrConfiguration, elasticsearch.ErrTLS, elasticsearch.ErrNotElasticsearch,
		elasticsearch.ErrTooLong,
	} {
		if errors.Is(err, permanent) {
			return false
		}
	}
	return elasticsearch.FateOf(err) != elasticsearch.Refused || elasticsearch.Passing(err)
}

// decode returns a function that decodes an answer, and stores it in out if check accepts it. check may refuse an
// incomplete answer.
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
