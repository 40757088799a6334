// Package elastic keeps the journal in Elasticsearch, for teams: any number of processes on any number of machines.
//
// # One document an entry
//
// The identifier of an entry's document is its sequence number, and documents are only ever created (op_type=create).
// That is the compare-and-set for the sequence number: whoever creates document n+1 proves by it that nobody has
// appended since n, and so that all that was known at n still held: that the target was free, that the execution was
// open, that the token was the present one. There are no locks, and an append is one request. Whoever is told that the
// document exists reads forward from what it knows and tries again.
//
// An answer can get lost after the document was written. Each document carries a random nonce, so that the same request
// is simply sent again: what exists already is either the writer's own entry or somebody else's.
//
// # Ranges
//
// Entries lie in indices of a fixed range of sequence numbers each: <index>-entries-000000, <index>-entries-000001, and
// so on. A data stream, or an alias that ILM rolls over, can't be used: identifiers are unique within one index only,
// so that two writers could both create document n around a rollover. Here the sequence number decides the index.
// Ranges can be moved, replicated and backed up one by one, by ILM too.
//
// Beside the hashed entry a document lists the executions that are open after it. So a process that begins needs the
// newest document and the entries of those executions, however long the journal is.
//
// # Leases
//
// Beats are in <index>-leases, one document for each hold, written in place. They are no part of the history.
package elastic
