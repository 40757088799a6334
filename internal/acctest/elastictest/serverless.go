package elastictest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Serverless is a transport to a server that calls itself serverless, and lacks the APIs that such a cluster lacks.
func Serverless(next http.RoundTripper) http.RoundTripper { return serverless{next} }

type serverless struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s serverless) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, missing := range []string{"/_cache/clear", "/_close", "/_open", "/_tasks"} {
		if strings.Contains(req.URL.Path, missing) {
			return Unavailable(req), nil
		}
	}
	res, err := s.next.RoundTrip(req)
	if err != nil || req.URL.Path != "/" {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	body = bytes.Replace(body, []byte(`"build_flavor" : "default"`), []byte(`"build_flavor" : "serverless"`), 1)
	err = errors.Join(err, res.Body.Close())
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, err
}

// Unavailable is the answer to a request for an API that the cluster does not have.
func Unavailable(req *http.Request) *http.Response {
	return &http.Response{StatusCode: http.StatusGone, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}},
		Body:    io.NopCloser(strings.NewReader(`{"error":{"type":"api_not_available_exception","reason":"none"}}`)),
		Request: req}
}
