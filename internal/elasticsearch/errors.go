package elasticsearch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Errors of this package, for errors.Is. Users read the *problem.Problem that wraps them.
var (
	// ErrConfiguration: the connection settings can't work, or there are none.
	ErrConfiguration = errors.New("invalid Elasticsearch connection settings")
	// ErrUnreachable: no endpoint answered.
	ErrUnreachable = errors.New("elasticsearch can't be reached")
	// ErrTLS: an endpoint's certificate is not trusted, or the endpoint does not speak TLS.
	ErrTLS = errors.New("no trusted TLS connection to Elasticsearch")
	// ErrNotElasticsearch: something else answered.
	ErrNotElasticsearch = errors.New("the server is not Elasticsearch")
	// ErrCredentials: the server does not know the caller.
	ErrCredentials = errors.New("elasticsearch refuses the credentials")
	// ErrForbidden: the caller lacks a privilege.
	ErrForbidden = errors.New("a privilege is missing in Elasticsearch")
	// ErrNotFound: there is no such index, alias, data stream, task or set.
	ErrNotFound = errors.New("not found in Elasticsearch")
	// ErrTimeout: the cluster did not complete the request in time.
	ErrTimeout = errors.New("elasticsearch timed out")
	// ErrBusy: the cluster has no capacity for the request at the moment.
	ErrBusy = errors.New("elasticsearch is overloaded")
	// ErrConflict: the object to change is no longer in the expected state.
	ErrConflict = errors.New("conflict in Elasticsearch")
	// ErrRequest: the server considers the request invalid.
	ErrRequest = errors.New("elasticsearch rejected the request")
	// ErrShards: the request failed on some shards.
	ErrShards = errors.New("shards failed")
	// ErrClosed: the index is closed.
	ErrClosed = errors.New("the index is closed")
	// ErrTooLong: the answer is longer than the caller accepts.
	ErrTooLong = errors.New("the answer is too long")
)

// Fate is the fate of a request without a successful answer.
type Fate int

// Fates.
const (
	// Refused: the server says that it did not perform the request.
	Refused Fate = iota
	// NotSent: no connection was made, so no server has seen it.
	NotSent
	// Lost: a server may have performed the request. The answer did not arrive, or does not say.
	Lost
)

// FateOf returns the fate of the request that failed with err.
func FateOf(err error) Fate {
	var answer *ResponseError
	switch {
	case errors.As(err, &answer) && !answer.passing() || errors.Is(err, ErrConfiguration):
		return Refused
	case errors.As(err, &answer) && answer.Status == http.StatusTooManyRequests:
		return Refused
	case answer == nil && notSent(err):
		return NotSent
	}
	return Lost
}

// notSent reports whether no connection was made.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// permanent reports whether a retry can't help: a certificate that is not trusted, or an answer that is too long.
func permanent(err error) bool {
	return errors.Is(err, ErrTLS) || errors.Is(err, ErrTooLong)
}

// ResponseError is an unsuccessful answer from the server.
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

// passing reports whether a retry may get another status. A node that shuts down also answers 500.
func (e *ResponseError) passing() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout ||
		e.Status >= http.StatusInternalServerError
}

// shownBody is how many bytes an error quotes from a body that is not Elasticsearch's.
const shownBody = 200

// refusal parses an unsuccessful answer.
func (c *Client) refusal(status int, answer []byte) *ResponseError {
	out := &ResponseError{Status: status}
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	var cause struct {
		Type     string          `json:"type"`
		Reason   string          `json:"reason"`
		CausedBy json.RawMessage `json:"caused_by"`
	}
	if json.Unmarshal(answer, &body) == nil && json.Unmarshal(body.Error, &cause) == nil {
		out.Type, out.Reason = c.secrets.String(cause.Type), cause.Reason+deeper(cause.CausedBy)
	} else {
		// Mask before cutting: part of a secret at the end would not be recognized.
		reason := c.secrets.String(string(answer))
		out.Reason = strings.TrimSpace(strings.ToValidUTF8(reason[:min(len(reason), shownBody)], ""))
	}
	out.Reason = c.secrets.String(out.Reason)
	return out
}

// Refusal returns the error for a refusal inside another answer, such as that of one search in a multi-search. what
// names the operation.
func (c *Client) Refusal(what string, said ResponseError) error {
	said.Type, said.Reason = c.Mask(said.Type), c.Mask(said.Reason)
	return c.refused(what, &said)
}

// Passing reports whether err is an answer that a retry may change.
func Passing(err error) bool {
	var e *ResponseError
	return errors.As(err, &e) && e.passing()
}

// deeper returns the reasons of the nested causes. They explain errors in a synonym rule, for example.
func deeper(raw json.RawMessage) string {
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

// Unanswered reports whether err says nothing about the requested object, because the cluster gave no answer or
// rejected these credentials.
func Unanswered(err error) bool {
	for _, e := range []error{
		ErrUnreachable, ErrTLS, ErrNotElasticsearch, ErrCredentials, ErrForbidden, ErrTimeout, ErrBusy, ErrShards,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// granted matches the privileges in the server's message: "this action is granted by the index privileges
// [manage,all]".
var granted = regexp.MustCompile(`this action is granted by the (index|cluster) privileges \[([^\]]*)\]`)

// refused returns the problem that explains a refusal to the user. what names the operation, such as "Clear the caches
// of kb".
func (c *Client) refused(what string, e *ResponseError) error {
	p := &problem.Problem{What: what + " failed", Why: "Elasticsearch answered: " + e.Error() + ".", Err: e}
	as := func(sentinel error, next string) error {
		p.Next, p.Err = next, errors.Join(sentinel, e)
		return p
	}
	switch {
	case e.Type == "index_closed_exception":
		return as(ErrClosed, "Open the index first.")
	case e.Type == "resource_already_exists_exception":
		p.Next = "Remove it if nobody needs it, then apply again."
		return p
	case e.Type == "cluster_block_exception":
		p.Next = "Lift the block, or wait for what set it (a full disk also sets one), then apply again."
		return p
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
		return as(ErrTimeout, "The cluster is under load or has no master. Look at its health and try again later.")
	case e.Status == http.StatusConflict:
		return as(ErrConflict, "It was changed at the same time. Plan again.")
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
	// The weakest sufficient privilege comes first.
	names := strings.Split(m[2], ",")
	return fmt.Sprintf("The missing %s privilege is %s (%s is also sufficient). Give it to the user or API key, then "+
		"apply again.",
		m[1], names[0], strings.Join(names[1:], " or "))
}

// unanswered returns the problem that explains to the user why a request has no answer.
func (c *Client) unanswered(what string, err error) error {
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
	case errors.Is(err, ErrTooLong):
		return as(ErrTooLong,
			"Check that elasticsearch.endpoints is an Elasticsearch and not another server. If it is, the "+
				"answer is larger than the provider reads.")
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

// unreadable is the error for a successful answer that is incomplete or not the requested one.
func (c *Client) unreadable(what string, err error) error {
	return c.unanswered(what, fmt.Errorf("unexpected response: %w", err))
}

// otherProduct is the error for a successful answer from a server that does not identify itself as Elasticsearch.
func (c *Client) otherProduct(what string) error {
	return &problem.Problem{
		What: what + " failed", Why: "The server at " + strings.Join(c.cfg.Endpoints, ", ") +
			" does not identify itself as Elasticsearch (header X-Elastic-Product).",
		Next: "Check elasticsearch.endpoints. OpenSearch and Elasticsearch before 7.14 are not supported.",
		Err:  ErrNotElasticsearch,
	}
}

// foreignAnswer is the error for a refusal that comes from a proxy or another server and not from Elasticsearch.
func (c *Client) foreignAnswer(what string, said *ResponseError) error {
	p := &problem.Problem{What: what + " failed",
		Why: "A server that is not Elasticsearch answered: " + said.Error() + "."}
	switch said.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		p.Next = "A proxy in front of the cluster refuses requests for now. Check the cluster's health and try again " +
			"later."
		p.Err = errors.Join(ErrTimeout, said)
	default:
		p.Next, p.Err = "Check elasticsearch.endpoints.", errors.Join(ErrNotElasticsearch, said)
	}
	return p
}

// tried adds the number of attempts to the explanation in err.
func tried(err error, attempts int) error {
	var p *problem.Problem
	if attempts == 1 || !errors.As(err, &p) {
		return err
	}
	out := *p
	out.Why = fmt.Sprintf("%s (tried %d times).", strings.TrimSuffix(out.Why, "."), attempts)
	return &out
}

// Shards is the part of an answer that says on how many shards the request failed.
type Shards struct {
	Total    int `json:"total"`
	Failed   int `json:"failed"`
	Failures []struct {
		Index  string          `json:"index"`
		Shard  int             `json:"shard"`
		Reason json.RawMessage `json:"reason"`
	} `json:"failures"`
}

// Check returns an error if the request failed on some shards: the server answers 200 even then.
func (s Shards) Check(what string) error {
	if s.Failed == 0 {
		return nil
	}
	return &problem.Problem{What: what + " failed", Why: s.Failure() + ".",
		Next: "Check the health of these indices, then apply again.", Err: ErrShards}
}

// Failure describes on which shards the request failed, and why.
func (s Shards) Failure() string {
	why := fmt.Sprintf("It failed on %d of %d shards", s.Failed, s.Total)
	for _, f := range s.Failures {
		var reason struct{ Type, Reason string }
		if json.Unmarshal(f.Reason, &reason) == nil {
			why += fmt.Sprintf("; %s shard %d: %s: %s", f.Index, f.Shard, reason.Type, reason.Reason)
		}
	}
	return why
}

// IsMissing reports whether err says that something does not exist.
func IsMissing(err error) bool { return errors.Is(err, ErrNotFound) }

// HasStatus reports whether err is an answer with the HTTP status.
func HasStatus(err error, status int) bool {
	var e *ResponseError
	return errors.As(err, &e) && e.Status == status
}

// HasType reports whether err is an answer with the server's error type.
func HasType(err error, name string) bool {
	var e *ResponseError
	return errors.As(err, &e) && e.Type == name
}

// maskedError has the masked text of its cause, and wraps the cause for errors.Is.
type maskedError struct {
	text  string
	cause error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.cause }
