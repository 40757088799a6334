// Package elasticsearch sends requests to an Elasticsearch cluster. Both the playbooks' target and the journal use it.
//
// # The fate of a request
//
// A request without a successful answer has one of three fates. It was refused: the server says that it did not perform
// it. It was not sent: no connection was made, so no server has seen it. Or it was lost: a server may have performed
// it, but the answer did not arrive or does not say. FateOf distinguishes them.
//
// A request that was not sent goes to the next endpoint, then is retried after a pause. An idempotent request is also
// retried if it was lost, and after 429, 502, 503 and 504. A request that must not be performed twice (Call.Once) is
// not: its caller determines what happened.
//
// # The server
//
// A server that does not identify itself in X-Elastic-Product is refused before its first successful answer is used.
// Rejected credentials are reported as such, also if a proxy rejected them. Errors are *problem.Problem values that
// wrap the sentinels of this package. Credentials are masked in errors and in logs.
package elasticsearch
