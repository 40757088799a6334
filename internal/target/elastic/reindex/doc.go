// Package reindex copies an index into a new one and puts the new one in its place, while clients go on searching and
// writing.
//
// # Order
//
//  1. The new index is made from the old one's settings, mappings and analyzers. What would slow the copy down or act on it too early (copies of shards, refreshes,
//     pipelines, lifecycle policies) is set later.
//  2. The server copies all documents in one task, with their versions. How far the old index was written before is remembered, as one sequence number a shard.
//  3. Passes catch up with what was written meanwhile. Each opens a view of every shard of the old index, writes to the new one what has a sequence number above
//     those of the view before, and removes what the view before had and this one has not. After each pass the new index must have exactly as many documents as the
//     view; if not, all names are compared. Passes are repeated until one is small.
//  4. The switch, one of two kinds. It begins with a small pass, and with equal counts.
//  5. The old index is removed, or kept with its writes blocked.
//
// Until the switch nobody but this package writes to the new index, so that a pass can't overwrite anything newer.
//
// # What was deleted
//
// A deleted document leaves nothing that a search finds. But each operation on a shard has a sequence number of its
// own, and an untouched document keeps its own for ever. So where two views have equally many documents in a range of
// sequence numbers below the older view's checkpoint, nothing in that range was deleted or updated; only the ranges
// that lost documents are looked into. The first view is opened before the copy. What that view can't know (a document
// made after it, seen by the copy and deleted again; or the view ended with the process that had opened it) the counts
// tell, and then all names are compared.
//
// # The switch for an alias: writers wait
//
// The new index is told to let writes wait for one more copy of each shard than it has
// (index.write.wait_for_active_shards, with an unassigned copy that allocation is told to leave alone). Then the alias
// is switched in one call. From then on a write through the alias waits at the new index, and does not fail. Writes
// that had found the old index before end there; the task list tells when all have. A last pass brings them over, the
// counts must be equal, and then the setting is taken back and the waiting writes go on. So every acknowledged write is
// in the new index before any later one is applied to it: none is lost, and none is overwritten by an older one.
// Afterwards writes to the old index are blocked and it is looked at once more.
//
// What can be noticed: writes take longer for about a second (Result.Pause). A get, a search or a single _update of a
// document that was written in that very moment sees its state before the last pass; an _update answers 404 or 409
// then, as for a document that somebody else is writing. A write that asks for wait_for_active_shards itself does not
// wait. A write waits as long as its own timeout allows, a minute by default: when this process dies within that
// second, writes through the alias begin to fail after a minute, until the next apply adopts the execution, which first
// of all finishes the switch.
//
// # The switch for a concrete name, or with a final pipeline: writers are refused
//
// The alias that replaces a concrete index can't exist before that index is gone, and what is gone can't be read any
// more. So writes to the old index are blocked (403, cluster_block_exception) from before the last pass until the
// switch, again for about a second. Nothing that was acknowledged is lost; writers have to try again. The same holds
// for an index with a final pipeline, which every write to it passes, the last pass's as well.
//
// # What was considered
//
// External versions alone (copy with version_type=external before and after the switch) lose writes: a document written
// twice in the old index just before the switch and once in the new one just after it has the higher version where it
// is older; and a document that is deleted and made again starts at version 1. Blocking writes for the whole copy is
// safe, and is the downtime that this package is there to avoid. Writing to both from the client is not ours to do.
package reindex
