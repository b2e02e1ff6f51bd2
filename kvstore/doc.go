// Package kvstore is the key-value store of one node, without the network: accounts that own buckets, buckets that hold
// versioned keys, quotas, sessions in which a write that is sent twice is done once, and removal of whole buckets.
//
// # Nouns
//
//	Store ── Put, Batch, … ──► Command ──► Log ──► Machine ──► one engine batch for many commands
//	   │                                (a queue                   │        │          │
//	   │                                 in memory)             counters  sessions   versioning.Applier
//	   └─── Get, Scan, … ─────────────────────────────────► versioning.Bucket
//
// A write becomes a Command. A Log brings commands into one order and has a Machine apply them. There are two machines:
// the catalog's (system shard 1: who owns which buckets) and that of the data shard (1001: keys, what the buckets hold,
// what they may hold). A Machine turns commands and timestamps into the writes of an engine batch and knows nothing of the
// queue: replication will put a raft group in the place of this package's log, and call the same machines.
//
// Between the shards: the catalog decides what there is and tells the data shard, under generations that grow; the data
// shard decides by itself whether a write may be done. A bucket is removed from the data shard outwards: sealed, marked in
// the catalog, emptied in steps, compacted, forgotten. A crash between two of these leaves what Open puts right.
//
// # Layout
//
// Records in the namespace 'm' of the two shards; docs/disk-layout.md has the list and api/kvstore/v1/stored.proto the
// fields. What a client's key becomes is the business of packages keys and versioning.
//
// # Invariants
//
//  1. A write that returned without an error is durable, and all of it or nothing is there.
//  2. A refused command changes nothing but its session's row, and fails alone.
//  3. Machines that apply the same commands at the same timestamps hold the same bytes, however the commands were grouped.
//  4. Counters are exact: they change in the batch of the data. A writer that does not count (the command line on a
//     directory) removes the mark 'm' 'v', and the next Open counts anew.
//  5. A session's write is done at most once. Its row lies in the batch of its data; a session that is not known any more
//     is an error, never a second execution. Sessions expire by the machine's time, not by a clock.
//  6. Ids of accounts and buckets are never given twice, and never one under which a program has put data already.
//  7. Nothing is read or written in a bucket once its removal has begun.
//
// # Concurrency
//
// A Store is safe for concurrent use. Who writes when nobody else does applies and commits in its own goroutine; others
// queue, and go together into the next batch. Everything is bounded: see Options. The only goroutine that a Store starts
// removes data, and ends with Close.
//
// # Crash
//
// See invariants 1, 4 and 5. After engine.ErrUnknownOutcome the engine writes no more; send the write again, in its
// session, to the store that is opened next.
package kvstore
