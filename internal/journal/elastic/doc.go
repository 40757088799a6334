// Package elastic stores the journal in Elasticsearch, for teams: any number of processes on any number of machines.
//
// # One document per entry
//
// The identifier of an entry's document is its sequence number, and documents are only ever created (op_type=create).
// This is the compare-and-set for the sequence number. A process that creates document n+1 proves that nobody has
// appended since n. Everything that was known at n is therefore still true: the target was free, the execution was
// open, and the token was the present one. There are no locks, and an append is one request. A process that learns that
// the document already exists reads the new entries and tries again.
//
// An answer can get lost after the document was written. The same request can be retried, because each document carries
// a random nonce, which tells whether an existing document is the writer's own or another process's.
//
// # Ranges
//
// Entries are stored in indices that each contain a fixed range of sequence numbers: <index>-entries-000000,
// <index>-entries-000001, and so on. A data stream, or an alias that ILM rolls over, can't be used: identifiers are
// unique within one index only, and two writers could both create document n around a rollover. Here the sequence
// number decides the index. Ranges can be moved, replicated and backed up individually, also by ILM.
//
// In addition to the hashed entry, a document lists the executions that are open after it. A process that begins an
// execution therefore reads only the newest document and the entries of those executions, however long the journal is.
//
// # Leases
//
// Heartbeats are in <index>-leases, one document per lease, updated in place. They are not part of the history.
package elastic
