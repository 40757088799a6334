// Package reindex copies an index into a new one and puts the new one in its place, while clients continue to search
// and write.
//
// # Stages
//
//  1. Create. The new index gets the settings, mappings and analyzers of the old one. Settings that would slow the copy
//     down or act on it too early (replicas, refreshes, pipelines, lifecycle policies) are set later. Elasticsearch
//     merges index templates into every new index. So the index is created with its writes blocked, read back and
//     compared with what was asked for, before one document is copied. Any difference ends the reindex.
//  2. Copy. The server copies all documents in one task, with their versions. How far the old index had been written
//     before is kept as one sequence number per shard.
//  3. Catch up. Each pass opens a view of every shard of the old index. It writes to the new index what has a sequence
//     number above those of the view before, and removes what the view before had and this one has not. After each pass
//     the new index must have exactly as many documents as the view; if not, all identifiers are compared. Documents
//     drawn at random are compared field by field. Passes are repeated until one is small.
//  4. Switch, one of two kinds. It begins with a small pass and equal counts. It is complete when the new index has
//     every alias of the old one, and the old one has none.
//  5. Settle. The old index is removed, or kept with its writes blocked.
//
// Until the switch only this package writes to the new index, so that a pass can't overwrite anything newer.
//
// # Deleted documents
//
// A deleted document leaves nothing that a search finds. But each operation on a shard has its own sequence number, and
// a document that is not changed keeps its number. So where two views have equally many documents in a range of
// sequence numbers below the older view's checkpoint, nothing in that range was deleted or updated. Only the ranges
// that lost documents are searched. The first view is opened before the copy. What that view can't show (a document
// made after it, seen by the copy and deleted again; or a view that ended with its process) shows in the counts, and
// then all identifiers are compared.
//
// # The switch for an alias: writers wait
//
// The new index is set to let writes wait for one more copy of each shard than it has
// (index.write.wait_for_active_shards, with an unassigned replica that allocation leaves alone). Then the alias is
// switched in one call. From then on a write through the alias waits at the new index and does not fail. Writes that
// had found the old index before end there; the task list shows when. A last pass brings them over, the counts must be
// equal, and then the setting is reset and the waiting writes continue. So every acknowledged write is in the new index
// before any later one is applied to it: none is lost, and none is overwritten by an older one. Afterwards writes to
// the old index are blocked and it is compared once more.
//
// The task list names no index for single updates (_update). Such a task may work at the old index, or wait at the new
// one for us. So it is waited for during one second only. An update that was at the old index after all is brought over
// by the pass that follows the block of the old index.
//
// Bounds: one second for requests that may be waiting for us, ten for others. When they have passed, writers continue.
//
// Clients can notice this: writes take longer for about two seconds (Result.Pause). A get, a search or a single _update
// of a document that was written in that moment sees its state before the last pass. An _update may be refused with 404
// or 409 then, as for a document that somebody else writes. A write that asks for wait_for_active_shards itself does
// not wait. _update_by_query and _delete_by_query that run across the switch continue with the old index and end with
// 403 once it is blocked. A write waits as long as its own timeout allows, one minute by default: when this process
// dies within those seconds, writes through the alias begin to fail after a minute, until the next apply adopts the
// execution, which first of all finishes the switch.
//
// # The switch for a concrete name, or with a final pipeline: writers are refused
//
// The alias that replaces a concrete index can't exist before that index is gone, and what is gone can't be read any
// more. So writes to the old index are blocked (403, cluster_block_exception) from before the last pass until the
// switch, again for about a second. Nothing that was acknowledged is lost; writers have to try again. The same holds
// for an index with a final pipeline, which every write to it passes, the last pass's as well.
//
// # Going back
//
// Before the switch, an error or the end of the context stops the copy, removes the new index and lets writers
// continue. A copy that can't be stopped is reported (ErrStillRunning), and its index stays: Elasticsearch would create
// it again, with dynamic mappings.
//
// # Considered and rejected
//
// External versions alone (copy with version_type=external before and after the switch) lose writes: a document written
// twice in the old index just before the switch and once in the new one just after it has the higher version where it
// is older; and a document that is deleted and made again starts at version 1. Blocking writes for the whole copy is
// safe, but it is the downtime that this package avoids. Writing to both indices is up to clients.
package reindex
