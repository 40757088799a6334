package dbtrun

import "errors"

// ErrNothingToRetry: retry_failed is set, and no execution left anything to retry.
var ErrNothingToRetry = errors.New("nothing to retry")
