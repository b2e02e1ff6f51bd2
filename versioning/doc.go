// Package versioning stores versioned keys on one shard: put, get, history, reads at a timestamp,
// deletion, rollover, expiry and scans, with compare-and-set and atomic batches.
//
// # Nouns
//
// A Store is the versioned data of one shard incarnation. A Bucket is a handle on one contiguous
// part of it, with settings of its own. A key has versions, numbered 1..255 at most; the latest is
// also addressable as 255. Numbers are relative: when a key has as many versions as its bucket
// allows, the next put drops the oldest and every number goes down by one (rollover). A version's
// Timestamp and the key's revision never change that way; use them to refer to something for long.
//
//	numbers     oldest ··· ··· ··· count            count is the latest
//	                |       |       |
//	records      :slot   :slot     @l     .d        in the shard's column family
//
// # Layout
//
// A key's records share a stem (package keys): 'd', bucket, key, 00. Behind it come
//
//	.d    the descriptor: KeyValuePairDescriptor of api/storage/v1
//	@l    the latest version
//	:n    the old version with number v, in slot n = ((v - 1 + base) mod 254) + 1
//
// and a version is its bytes and a trailer, which is read from the end:
//
//	data | expiry (8, if flagged) | format 01 | flags | timestamp (12) | CRC-32C of all before (4)
//
// A put moves the old `@l` into its slot and writes `@l` and `.d`: 2 reads and 3 writes. With base 0,
// in every key that never rolled over, the slot of version v is v. A rollover under Relabel raises the
// base by one, which renames all versions at once, and the freed slot takes the old latest: still 2
// reads and 3 writes with max_versions 255, and one removal more below. Cascade rewrites the slots
// instead and keeps base 0; whatever can be read is the same. The settings of bucket b lie under 'm' 'b' b.
//
// # Invariants
//
//  1. Versions oldest..count exist, without a gap, and no others: count in `@l`, the rest in the
//     slots that the base gives. Check verifies it and what follows.
//  2. Timestamps grow strictly with the number; created <= the oldest's; the latest's <= revision.
//  3. A key's revision grows with every write of a client's, also across purge and recreation.
//  4. All records that one operation changes are in one engine batch: a crash leaves the state
//     before it or behind it.
//  5. A reader never sees one version's number with another's bytes: the descriptor that gives the
//     slot and the record in the slot are read at one instant.
//  6. Records depend on nothing but the operations and their timestamps: replicas are identical.
//
// # Concurrency
//
// Everything but Batch and Applier is safe for concurrent use. Writers of one key queue up; whoever
// holds its lock takes the waiting writes along into one commit, each still a version of its own.
// Writers of different keys meet in the engine's group committer. Reads take no locks. One Store a
// shard incarnation: see Store.
//
// # Crash
//
// A write that returned without NoSync survives. One that had not returned is there completely or
// not at all. After ErrUnknownOutcome only reopening and reading back tells. The clock of NewClock
// never repeats a timestamp.
//
// See the examples for a store in 20 lines, history and rollover, and one atomic batch over several
// shards. DESIGN.md beside the source says why things are as they are.
package versioning
