// Package engine is the storage engine of a node: one RocksDB database that holds many shards, each
// in a column family of its own, behind one write-ahead log and one committer.
//
// It knows nothing of keys, versions or replication: keys and values are bytes. It is the only
// package that touches RocksDB.
//
//	               Engine (one directory, held exclusively)
//	┌──────────────┬──────────────┬──────────────┬─────────────────────┐
//	│ default      │ 1001         │ 1002         │ 1002.2              │  column families
//	│ node-local,  │ shard 1001   │ shard 1002   │ shard 1002, staged  │
//	│ shard table  │ live         │ live         │ as incarnation 2    │
//	└──────────────┴──────────────┴──────────────┴─────────────────────┘
//	      ▲                 one write-ahead log, one block cache
//	      │ merged writes
//	  committer ◄── queue ◄── Commit(batch) from any number of goroutines
//
// # Nouns
//
// A Shard is one incarnation of a shard: creating, cloning and importing make a staged incarnation,
// Batch.Activate makes it live in the same atomic write as whatever else the batch holds, Batch.Retire
// takes a live one away. A Batch collects writes over any shards; Commit applies it whole or not at
// all. A Snapshot is one instant of all shards. An Iterator walks one shard.
//
// # Invariants
//
//  1. A commit acknowledged with Sync survives kill -9 and power failure; one acknowledged with NoSync
//     survives kill -9. A batch is never half there, over however many shards.
//  2. A batch holds a reference on every shard that it names; a family is dropped only when nobody
//     holds it. So no merged write can name a family that is gone, which RocksDB would answer by
//     blocking every later write of the process.
//  3. The committer checks each batch before merging it; a bad one fails its own caller alone.
//  4. Exactly the incarnations named in the shard table are live. A family without a record is a
//     leftover of a crash and is dropped when the engine opens.
//  5. When a write fails, or RocksDB reports damage from any read or compaction, the engine writes no
//     more: its callers get ErrUnknownOutcome, later ones ErrNotWritten, and Err says why.
//  6. If recovery yields less than was acknowledged as synced, Open says so (ErrDataLoss) instead of
//     serving the rest. What recovery yields is a prefix: nothing behind a hole in the log.
//
// # Concurrency
//
// Engine, Shard and Snapshot may be used from any goroutine; a Batch and an Iterator from one at a
// time. Operations on a dropped shard or a closed engine return ErrShardDropped or ErrClosed; they
// never crash. The engine owns one goroutine (the committer) and a short one per dropped shard; all
// end with Close. Watch runs in a goroutine of its caller's.
//
// # Slices
//
// Keys and values that are passed in are copied or used only during the call. What View passes to its
// callback, and what an Iterator returns, is valid until the callback returns or the iterator moves.
//
// # What a crash leaves
//
// Any prefix of the unsynced writes, all synced ones, and possibly families without a record, links
// to logs in PLEIADES.wal and files in PLEIADES.staging: the next Open clears them away.
//
// docs/disk-layout.md describes every file and byte; DESIGN.md beside this file says why it is so.
package engine
