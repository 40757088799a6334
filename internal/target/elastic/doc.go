// Package elastic is a client for Elasticsearch 8 and 9 that playbooks use: it resolves names, reads and clears caches,
// inspects and reloads analyzers, and closes and opens indices. Its subpackage reindex copies an index without
// downtime. The package does not depend on Terraform or on playbooks.
//
// # Requests
//
// A request that is safe to repeat is retried with a growing delay after a lost connection and after 429, 502, 503 and
// 504, at another endpoint if there are several. A request that must not happen twice (an alias swap, the start of a
// reindex) is retried only if no connection was made at all. Every request has its own deadline within the caller's.
//
// A server that does not identify itself in X-Elastic-Product is refused. Errors are *problem.Problem values joined
// with the sentinels of this package. Credentials in them are masked.
//
// # Metadata in bulk
//
// Names and cache sizes are read for the whole cluster with one request each, which is shared by all callers within
// half a minute. The plan of a thousand resources therefore costs only a few requests. After the caches of an index are
// cleared, only the sizes of that index are read again. Requests that change something name concrete indices, which the
// server checks at that moment.
package elastic
