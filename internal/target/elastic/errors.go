package elastic

import (
	"errors"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// ErrRefused is the error for a name or an index that this package does not change.
var ErrRefused = errors.New("not a usable index")

// ErrUncertain marks a change that was sent and whose answer was lost: it may have been made.
var ErrUncertain = errors.New("it is not known whether the change was made")

// Errors from package elasticsearch that callers of this package distinguish.
var (
	ErrConfiguration    = elasticsearch.ErrConfiguration
	ErrUnreachable      = elasticsearch.ErrUnreachable
	ErrTLS              = elasticsearch.ErrTLS
	ErrNotElasticsearch = elasticsearch.ErrNotElasticsearch
	ErrCredentials      = elasticsearch.ErrCredentials
	ErrForbidden        = elasticsearch.ErrForbidden
	ErrNotFound         = elasticsearch.ErrNotFound
	ErrTimeout          = elasticsearch.ErrTimeout
	ErrBusy             = elasticsearch.ErrBusy
	ErrConflict         = elasticsearch.ErrConflict
	ErrRequest          = elasticsearch.ErrRequest
	ErrClosed           = elasticsearch.ErrClosed
)

// Unanswered reports whether err says nothing about the requested object, because the cluster gave no answer or
// rejected these credentials.
func Unanswered(err error) bool { return elasticsearch.Unanswered(err) }

// IsMissing reports whether err says that something does not exist.
func IsMissing(err error) bool { return elasticsearch.IsMissing(err) }

type shards = elasticsearch.Shards
