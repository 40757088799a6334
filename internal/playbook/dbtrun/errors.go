package dbtrun

import "errors"

// ErrNothingToRetry means that retry_failed is set, but no execution left anything to retry.
var ErrNothingToRetry = errors.New("nothing to retry")
