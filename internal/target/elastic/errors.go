package elastic

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Errors of this package, to be told apart with errors.Is. What people read is the *problem.Problem that wraps them.
var (
	// ErrConfiguration: the connection settings can't work, or there are none.
	ErrConfiguration = errors.New("invalid Elasticsearch connection settings")
	// ErrUnreachable: no endpoint answered.
	ErrUnreachable = errors.New("elasticsearch can't be reached")
	// ErrTLS: an endpoint's certificate is not trusted, or it does not speak TLS.
	ErrTLS = errors.New("no trusted TLS connection to Elasticsearch")
	// ErrNotElasticsearch: something else answered.
	ErrNotElasticsearch = errors.New("the server is not Elasticsearch")
	// ErrCredentials: the server does not know the caller.
	ErrCredentials = errors.New("elasticsearch refuses the credentials")
	// ErrForbidden: the caller lacks a privilege.
	ErrForbidden = errors.New("a privilege is missing in Elasticsearch")
	// ErrNotFound: there is no such index, alias, data stream, task or set.
	ErrNotFound = errors.New("not found in Elasticsearch")
	// ErrBlocked: a block on an index or on the cluster refuses the request.
	ErrBlocked = errors.New("blocked by Elasticsearch")
	// ErrTimeout: the cluster did not do it in time.
	ErrTimeout = errors.New("elasticsearch timed out")
	// ErrBusy: the cluster has no capacity for the request now.
	ErrBusy = errors.New("elasticsearch is overloaded")
	// ErrConflict: what was to be changed is not as expected any more.
	ErrConflict = errors.New("conflict in Elasticsearch")
	// ErrRequest: the server finds the request wrong.
	ErrRequest = errors.New("elasticsearch refuses the request")
	// ErrShards: the request failed on some shards.
	ErrShards = errors.New("shards failed")
	// ErrExists: there is an index of that name already.
	ErrExists = errors.New("the index exists already")
	// ErrClosed: the index is closed.
	ErrClosed = errors.New("the index is closed")
	// ErrRefused: the name or index is one that this package does not touch.
	ErrRefused = errors.New("not an index to work on")
)

// ResponseError is an answer of the server other than success.
type ResponseError struct {
	// Status is the HTTP status; Type and Reason are the server's own, masked.
	Status int
	Type   string
	Reason string
}

// Error implements error.
func (e *ResponseError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("status %d: %s", e.Status, e.Reason)
	}
	return fmt.Sprintf("%s: %s (status %d)", e.Type, e.Reason, e.Status)
}

// shownBody is how much of a body that is not Elasticsearch's an error quotes, in bytes.
const shownBody = 200

// responseError reads why the server refused.
func (c *Cluster) responseError(res *http.Response) *ResponseError {
	out := &ResponseError{Status: res.StatusCode}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		out.Reason = err.Error()
		return out
	}
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	var cause struct {
		Type      string          `json:"type"`
		Reason    string          `json:"reason"`
		RootCause []ResponseError `json:"root_cause"`
		CausedBy  json.RawMessage `json:"caused_by"`
	}
	if json.Unmarshal(text, &body) == nil && json.Unmarshal(body.Error, &cause) == nil {
		out.Type, out.Reason = c.secrets.String(cause.Type), cause.Reason
		out.Reason += c.deeper(cause.CausedBy)
	} else {
		// Masked before it is cut: part of a secret at the end is no longer recognised.
		reason := c.secrets.String(string(text))
		out.Reason = strings.TrimSpace(strings.ToValidUTF8(reason[:min(len(reason), shownBody)], ""))
	}
	out.Reason = c.secrets.String(out.Reason)
	return out
}

// deeper adds the causes below the first, which are what tells a person what is wrong with a rule of synonyms.
func (c *Cluster) deeper(raw json.RawMessage) string {
	var out strings.Builder
	for len(raw) > 0 {
		var cause struct {
			Reason   string          `json:"reason"`
			CausedBy json.RawMessage `json:"caused_by"`
		}
		if json.Unmarshal(raw, &cause) != nil || cause.Reason == "" {
			break
		}
		out.WriteString(": " + cause.Reason)
		raw = cause.CausedBy
	}
	return out.String()
}

// Unanswered tells whether err says nothing about what was asked for, because the cluster gave no answer, or not to
// these credentials.
func Unanswered(err error) bool {
	for _, e := range []error{ErrUnreachable, ErrTLS, ErrNotElasticsearch, ErrCredentials, ErrForbidden, ErrTimeout,
		ErrBusy, ErrShards} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// granted finds the privileges in the server's own words: "this action is granted by the index privileges
// [manage,all]".
var granted = regexp.MustCompile(`this action is granted by the (index|cluster) privileges \[([^\]]*)\]`)

// toProblem says what an answer means to a person. what names the operation, such as "Clear the caches of
// knowledge_base".
func (c *Cluster) toProblem(what string, e *ResponseError) error {
	p := &problem.Problem{What: what + " failed", Why: "Elasticsearch answered: " + e.Error() + ".", Err: e}
	as := func(sentinel error, next string) error {
		p.Next, p.Err = next, errors.Join(sentinel, e)
		return p
	}
	switch {
	case e.Type == "index_closed_exception":
		return as(ErrClosed, "Open the index first.")
	case e.Type == "resource_already_exists_exception":
		return as(ErrExists, "Remove it if nobody needs it, then apply again.")
	case e.Type == "cluster_block_exception":
		return as(ErrBlocked, "Lift the block, or wait for what set it (a full disk sets one, too), then apply again.")
	case e.Status == http.StatusUnauthorized:
		return as(ErrCredentials, "Check username and password, api_key or bearer_token of the provider's "+
			"elasticsearch block, or the ELASTICSEARCH_* variables.")
	case e.Status == http.StatusForbidden:
		return as(ErrForbidden, privilegeAdvice(e.Reason))
	case e.Status == http.StatusNotFound:
		return as(ErrNotFound, "Check the spelling.")
	case e.Status == http.StatusTooManyRequests:
		return as(ErrBusy, "The cluster is overloaded. Try again later.")
	case e.Status == http.StatusRequestTimeout, e.Status == http.StatusServiceUnavailable,
		e.Status == http.StatusGatewayTimeout, e.Status == http.StatusBadGateway,
		e.Type == "process_cluster_event_timeout_exception", e.Type == "master_not_discovered_exception":
		return as(ErrTimeout, "The cluster is under load or without a master. Look at its health and try again later.")
	case e.Status == http.StatusConflict:
		return as(ErrConflict, "Somebody else changed it at the same time. Plan again.")
	default:
		return as(ErrRequest, "")
	}
}

func privilegeAdvice(reason string) string {
	m := granted.FindStringSubmatch(reason)
	if m == nil {
		return "Give the user or API key the privilege that the action needs (manage on the index for most), then " +
			"apply again."
	}
	// The weakest privilege that does comes first.
	names := strings.Split(m[2], ",")
	return fmt.Sprintf("The missing %s privilege is %s (%s would do as well). Give it to the user or API key, then "+
		"apply again.",
		m[1], names[0], strings.Join(names[1:], " or "))
}

// transportProblem says what a request without an answer means to a person.
func (c *Cluster) transportProblem(what string, err error) error {
	text := c.secrets.String(err.Error())
	p := &problem.Problem{What: what + " failed", Why: text + "."}
	as := func(sentinel error, next string) error {
		p.Next, p.Err = next, errors.Join(sentinel, &maskedError{text: text, cause: err})
		return p
	}
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return as(context.Canceled, "")
	case strings.Contains(text, "the client noticed that the server is not Elasticsearch"):
		p.Why = "What answers at " + strings.Join(c.cfg.Endpoints, ", ") +
			" does not say that it is Elasticsearch (header X-Elastic-Product)."
		return as(ErrNotElasticsearch,
			"Check elasticsearch.endpoints. OpenSearch and Elasticsearch before 7.14 are not supported.")
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname):
		return as(ErrTLS, "Set elasticsearch.ca_file or ca_data to the certificate authority of the cluster, and "+
			"endpoints to the names in its certificate.")
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"),
		strings.Contains(text, "tls: "):
		return as(ErrTLS, "Check whether the endpoint speaks TLS (https) or not (http), and which client certificate "+
			"it asks for.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return as(ErrTimeout, "The cluster did not answer in time. It may be under load: look at its health and try "+
			"again later.")
	default:
		return as(ErrUnreachable, "Check elasticsearch.endpoints and that the cluster is up.")
	}
}

// maskedError shows the masked text and keeps the cause for errors.Is.
type maskedError struct {
	text  string
	cause error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.cause }
