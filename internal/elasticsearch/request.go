package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// Call is one API operation on the cluster.
type Call struct {
	// What names the operation for users, in the imperative: "Clear the caches of knowledge_base".
	What string
	// Request is the request to send. Use Plain for requests that esapi does not support.
	Request esapi.Request
	// Once marks a request that must not be performed twice. It is retried only if it was not sent.
	Once bool
	// Timeout bounds the call with all its attempts. Zero means 2 minutes. If negative, only the context and Retry
	// bound it.
	Timeout time.Duration
	// Retry configures retries. Without Attempts and For, there are 4 attempts.
	Retry Retry
	// Limit is the longest accepted answer, in bytes. Zero means 32 MiB.
	Limit int64
	// Out receives the decoded successful answer. Nil ignores the answer.
	Out any
	// Read decodes a successful answer instead of Out. If it returns an error, the fate of the request is Lost.
	Read func(answer []byte) error
	// Log is the subsystem that logs the request. Empty means logging.Elasticsearch.
	Log logging.Subsystem
}

// Retry bounds the attempts at a request.
type Retry struct {
	// Attempts is how often the request is sent. Zero means as often as For allows.
	Attempts int
	// For is how long after the first attempt another attempt may begin.
	For time.Duration
	// Attempt bounds one attempt. Zero means that only the call's timeout does.
	Attempt time.Duration
	// Pause is the pause before the second attempt. It doubles with every further attempt up to Longest. A random part
	// of up to the same length is added, which spreads the retries of many clients.
	Pause, Longest time.Duration
	// ServerErrors also retries an idempotent request after 408, 500 and every other 5xx, and after an answer that is
	// incomplete or not from Elasticsearch. A node that shuts down answers that way.
	ServerErrors bool
	// Stop, unless nil, is called before each attempt. Its error ends the call.
	Stop func() error
}

// usualRetry covers a busy node or a proxy that reloads.
func usualRetry() Retry {
	const attempts = 4
	return Retry{Attempts: attempts, Pause: 200 * time.Millisecond, Longest: 2 * time.Second}
}

func (c Call) withDefaults() Call {
	const (
		timeout = 2 * time.Minute // longer than the 30 s that Elasticsearch itself waits for its master
		limit   = 32 << 20        // the mappings of several thousand indices
	)
	if c.Timeout == 0 {
		c.Timeout = timeout
	}
	if c.Limit == 0 {
		c.Limit = limit
	}
	if c.Retry.Attempts == 0 && c.Retry.For == 0 {
		stop := c.Retry.Stop
		c.Retry = usualRetry()
		c.Retry.Stop = stop
	}
	if c.Log == "" {
		c.Log = logging.Elasticsearch
	}
	return c
}

// decode decodes a successful answer.
func (c Call) decode(answer []byte) error {
	switch {
	case c.Read != nil:
		return c.Read(answer)
	case c.Out != nil:
		return json.Unmarshal(answer, c.Out)
	}
	return nil
}

// Plain is a request with a given path, for parameters that esapi does not support.
type Plain struct {
	Method string
	// Path includes the query.
	Path string
	Body []byte
	// Header is sent in addition to the client's own.
	Header http.Header
}

// Do implements esapi.Request.
func (p Plain) Do(ctx context.Context, on esapi.Transport) (*esapi.Response, error) {
	req, err := http.NewRequestWithContext(ctx, p.Method, p.Path, bytes.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range p.Header {
		req.Header[name] = values
	}
	res, err := on.Perform(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	return &esapi.Response{StatusCode: res.StatusCode, Header: res.Header, Body: res.Body}, nil
}

// Body encodes a request's body. A failure to encode is reported when the request is built.
func Body(v any) io.Reader {
	text, err := json.Marshal(v)
	if err != nil {
		return badBody{err}
	}
	return bytes.NewReader(text)
}

type badBody struct{ err error }

func (b badBody) Read([]byte) (int, error) { return 0, b.err }

// builder is a transport that records the request and sends nothing.
type builder struct{ built *http.Request }

var errBuilt = errors.New("the request is built")

// Perform implements esapi.Transport.
func (b *builder) Perform(req *http.Request) (*http.Response, error) {
	b.built = req
	return nil, errBuilt
}

// compatible asks a newer server to answer as version 8 does.
const compatible = "application/vnd.elasticsearch+json;compatible-with=8"

// build returns the request of a call, without the address of a node. Each attempt gets a body of its own from GetBody.
func build(ctx context.Context, c Call) (*http.Request, error) {
	var b builder
	res, err := c.Request.Do(ctx, &b)
	if res != nil && res.Body != nil {
		defer res.Body.Close()
	}
	if !errors.Is(err, errBuilt) {
		return nil, fmt.Errorf("build the request: %w", err)
	}
	req := b.built
	if req.Body != nil && req.GetBody == nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		req.ContentLength = int64(len(text))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Accept", compatible)
	if req.ContentLength > 0 {
		kind := compatible
		if strings.HasSuffix(req.URL.Path, "/_bulk") || strings.HasSuffix(req.URL.Path, "/_msearch") {
			kind = strings.Replace(kind, "+json", "+x-ndjson", 1)
		}
		req.Header.Set("Content-Type", kind)
	}
	if origin := originOf(ctx); origin != "" && req.Header.Get(originHeader) == "" {
		req.Header.Set(originHeader, origin)
	}
	return req, nil
}

const originHeader = "X-Opaque-Id"
