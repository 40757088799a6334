// Package reindex copies an index into a new one and replaces the old index with it, while clients continue to search
// and write.
//
// # Stages
//
//  1. Create. The new index gets the settings, mappings and analyzers of the old one. Settings that would slow the copy
//     down or act on it too early (replicas, refreshes, pipelines, lifecycle policies) are set later. Elasticsearch
//     merges index templates into every new index. The index is therefore created with its writes blocked, read back
//     and compared with the request before any document is copied. Any difference ends the reindex.
//  2. Copy. The server copies all documents in one task, with their versions. One sequence number per shard records
//     how far the old index had been written before.
//  3. Catch up. Each pass opens a view of every shard of the old index. It writes the documents with a sequence number
//     above those of the previous view to the new index, and removes the documents that only the previous view had.
//     After each pass the new index must have exactly as many documents as the view. If not, all identifiers are
//     compared. Randomly selected documents are compared field by field. Passes are repeated until one is small.
//  4. Switch, in one of two ways. It begins with a small pass and equal counts. It is complete when the new index has
//     every alias of the old one, and the old one has none.
//  5. Finish. The old index is removed, or kept with its writes blocked.
//
// Until the switch only this package writes to the new index, so a pass can't overwrite anything newer.
//
// # Deleted documents
//
// Searches don't find deleted documents. But each operation on a shard has its own sequence number, and an unchanged
// document keeps its number. Therefore, if two views have the same number of documents in a range of sequence numbers
// below the older view's checkpoint, nothing in that range was deleted or updated. Only the ranges that lost documents
// are searched. The first view is opened before the copy. Some deletions don't appear in a view: a document can be
// created after the view, copied, and deleted again, or a view can end with its process. Such deletions appear as
// different counts, and then all identifiers are compared.
//
// # The switch for an alias: writers wait
//
// The new index is configured to delay writes until one more copy of each shard is active than it has
// (index.write.wait_for_active_shards, with an unassigned replica that allocation ignores). Then the alias is switched
// in one call. From then on a write through the alias waits at the new index and does not fail. Writes that had already
// resolved the old index finish there, and the task list shows when. A last pass copies them, the counts must be equal,
// and then the setting is reset and the waiting writes continue. Every acknowledged write is therefore in the new index
// before any later one is applied: no write is lost or overwritten by an older one. Afterwards writes to the old index
// are blocked and it is compared once more.
//
// The task list names no index for single updates (_update). Such a task may be working on the old index, or waiting at
// the new one for this process. The drain waits for it for only one second (undecidedTimeout). If the update did run on
// the old index, the pass that follows the block of the old index copies it.
//
// The steps of the switch, and what each may cost writers, are in the tables of switch.go.
//
// Clients can notice the switch: writes take longer for about two seconds (Result.Pause). A get, a search or a single
// _update of a document that was written in that moment sees the document's state before the last pass. An _update may
// then fail with 404 or 409, as for a document that another client writes. A write that itself sets
// wait_for_active_shards does not wait. The passes after the move therefore write and remove a document only if it is
// as this package left it (if_seq_no), so what such a client has written or deleted stays. A document whose version is
// more than elastic.MostVersions ahead is checked first and then written with its own version, which can't be combined
// with if_seq_no: a client that writes it between these two requests can be overwritten. _update_by_query and
// _delete_by_query that run across the switch continue with the old index and fail with 403 once it is blocked. A write
// waits as long as its own timeout allows, one minute by default. If this process dies within those seconds, writes
// through the alias begin to fail after a minute. They continue when the next apply adopts the execution, which first
// finishes the switch.
//
// # The switch for a concrete name, or with a final pipeline: writers are refused
//
// An alias can replace a concrete index only after that index is deleted, and a deleted index can't be read. Therefore
// writes to the old index are blocked (403, cluster_block_exception) from before the last pass until the switch, again
// for about a second. No acknowledged write is lost, but writers have to retry. The same applies to an index with a
// final pipeline, which every write passes through, including those of the last pass.
//
// # Rollback
//
// Before the switch, an error or the end of the context stops the copy, removes the new index and lets writers
// continue. A copy that can't be stopped is reported (ErrStillRunning), and its index stays, because Elasticsearch
// would recreate it with dynamic mappings.
//
// # Considered and rejected
//
// External versions alone (copy with version_type=external before and after the switch) lose writes. A document that is
// written twice in the old index just before the switch and once in the new one just after it has the higher version in
// its older state. A document that is deleted and created again starts at version 1. Blocking writes for the whole copy
// is safe, but it is the downtime that this package avoids. Writing to both indices is up to clients.
package reindex
