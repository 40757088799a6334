// Package elasticsearch sends requests to an Elasticsearch cluster. Both the playbooks' target and the journal use it.
//
// # What is known of a request
//
// A request without a successful answer has one of three fates. It was refused: the server says that it did not do it.
// It was not sent: no connection was made, so no server has seen it. Or it was lost: a server may have done it, and the
// answer did not arrive or does not say. FateOf tells them apart.
//
// A request that was not sent goes to the next endpoint, then is sent again after a pause. An idempotent request is
// also sent again when it was lost, and after 429, 502, 503 and 504. Any other request is never sent again: its caller
// looks at what happened.
//
// # The server
//
// A server that does not name itself in X-Elastic-Product is refused before its first successful answer is used.
// Refusals of credentials are reported as such, whoever sent them. Errors are *problem.Problem values that wrap the
// sentinels of this package. Credentials are masked in errors and in logs.
package elasticsearch
