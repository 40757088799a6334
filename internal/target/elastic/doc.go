// Package elastic is a client of Elasticsearch 8 and 9 for what playbooks do there: it resolves names, reads and clears
// caches, looks at analyzers, reloads them, and closes and opens indices. Package reindex below it copies an index
// without downtime. It knows nothing of Terraform or of playbooks.
//
// # Requests
//
// A request that may happen twice is sent again, to another endpoint where there are several, after a lost connection
// and after 429, 502, 503 and 504, with a growing delay. One that must not happen twice (an alias swap, the start of a
// reindex) is sent again only where no connection was made at all. Every request has a deadline of its own below the
// caller's.
//
// A server that does not name itself in X-Elastic-Product is refused. Errors are *problem.Problem values joined with
// the sentinels of this package; credentials are masked in them.
//
// # Metadata in bulk
//
// Names and the sizes of caches are read for the whole cluster in one request each, once for all that ask within half a
// minute, so that the plan of a thousand resources costs a handful of requests. What changes something names concrete
// indices and is checked by the server at that moment.
package elastic
