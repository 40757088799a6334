// Package metrics reads the metrics of guardrails from Prometheus, web addresses, and searches.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/webmetric"
)

// Search runs a search without fetching documents. It returns the time that it took on the server, in milliseconds, and
// the number of matching documents.
type Search func(ctx context.Context, index, body string) (tookMS, hits int64, err error)

// Sources are where metrics come from. Prometheus and Search are nil if they are not configured.
type Sources struct {
	Prometheus *prometheus.Client
	Search     Search
	// Hosts lists the web addresses that may be read.
	Hosts access.Hosts
	Clock clock.Clock
}

// Reader implements guard.Reader.
type Reader struct {
	sources Sources
	web     *webmetric.Client
}

// New returns a reader. It does no I/O.
func New(s Sources) *Reader { return &Reader{sources: s, web: webmetric.New(s.Clock)} }

// Lacks implements guard.Reader.
func (r *Reader) Lacks(q guard.Query) string {
	switch {
	case q.Prometheus != "" && r.sources.Prometheus == nil:
		return "the provider has no prometheus.url, and PROMETHEUS_URL is not set"
	case q.Search != nil && r.sources.Search == nil:
		return "the provider has no elasticsearch.endpoints, and ELASTICSEARCH_ENDPOINTS is not set"
	case q.HTTP != nil:
		if err := r.sources.Hosts.Check(q.HTTP.URL); err != nil {
			return err.Error()
		}
	}
	return ""
}

// Read implements guard.Reader.
func (r *Reader) Read(ctx context.Context, q guard.Query) (float64, error) {
	v, err := r.read(ctx, q)
	if err != nil {
		logging.Debug(ctx, logging.Guardrail, "metric not read", "error", err.Error())
	}
	return v, err
}

// ReadAt implements guard.PastReader.
func (r *Reader) ReadAt(ctx context.Context, q guard.Query, at time.Time) (float64, error) {
	if lack := r.Lacks(q); lack != "" {
		return 0, errors.New(lack)
	}
	if q.Prometheus == "" {
		return 0, errors.New("only Prometheus can be asked about an earlier time")
	}
	v, err := r.sources.Prometheus.QueryAt(ctx, q.Prometheus, at, q.AcceptWarnings...)
	if err != nil {
		logging.Debug(ctx, logging.Guardrail, "earlier metric not read", "at", at.UTC().Format(time.RFC3339),
			"error", err.Error())
	}
	return v, answered(err, prometheus.ErrUnavailable)
}

// ReadNow implements guard.MomentReader.
func (r *Reader) ReadNow(ctx context.Context, q guard.Query) (float64, time.Time, error) {
	if lack := r.Lacks(q); lack != "" || q.Prometheus == "" {
		v, err := r.Read(ctx, q)
		return v, time.Time{}, err
	}
	v, at, err := r.sources.Prometheus.QueryNow(ctx, q.Prometheus, q.AcceptWarnings...)
	if err != nil {
		logging.Debug(ctx, logging.Guardrail, "metric not read", "error", err.Error())
	}
	return v, at, answered(err, prometheus.ErrUnavailable)
}

func (r *Reader) read(ctx context.Context, q guard.Query) (float64, error) {
	if lack := r.Lacks(q); lack != "" {
		return 0, errors.New(lack)
	}
	switch {
	case q.Prometheus != "":
		v, err := r.sources.Prometheus.Query(ctx, q.Prometheus, q.AcceptWarnings...)
		return v, answered(err, prometheus.ErrUnavailable)
	case q.HTTP != nil:
		v, err := r.web.Read(ctx, q.HTTP.URL, q.HTTP.Pointer)
		return v, answered(err, webmetric.ErrUnavailable)
	case q.Search != nil:
		took, hits, err := r.sources.Search(ctx, q.Search.Index, q.Search.Body)
		if q.Search.Measure == guard.MeasureHits {
			return float64(hits), err
		}
		return float64(took), err
	default:
		return 0, errors.New("the guardrail names no metric")
	}
}

// noData is an error that is also guard.ErrNoData.
type noData struct{ error }

// Unwrap implements errors.Unwrap.
func (n noData) Unwrap() []error { return []error{n.error, guard.ErrNoData} }

// answered adds guard.ErrNoValue to the error from a source that answered without a usable value, and guard.ErrNoData
// if that was no data at all.
func answered(err, unavailable error) error {
	if err == nil || errors.Is(err, unavailable) {
		return err
	}
	if errors.Is(err, prometheus.ErrNoData) {
		err = noData{err}
	}
	return fmt.Errorf("%w: %w", guard.ErrNoValue, err)
}
