// Package bench measures Pleiades: the engine, versions on top of it, and how many shards a node
// carries. `pleiades bench` runs it; the module bench/peers runs the same loops on other stores.
//
//	Spec ──► Run ──► one fresh store a group of workloads ──► Report (text, JSON)
//	                        │
//	        RunStore: the loops, on anything that implements Store
//	                  (the engine, versions, and in bench/peers Pebble, bbolt, Badger, RocksDB)
//
// # Nouns
//
// A Workload is one kind of work with a name such as "engine/sync-64". A Store is what it works on; a
// Session is a store in the hands of one goroutine. A Result is what one workload measured, a Report
// all results with the machine and the library that they belong to.
//
// # The loops
//
// Keys have 16 bytes, decimal numbers with leading zeros; values compress to about a half, as those of
// RocksDB's db_bench. Filling works on a fresh store until the key space is covered or FillLimit is
// over; the rest is then loaded unmeasured. Reading follows on the same store, flushed and compacted.
// Synced writes start on a fresh store. Timed workloads warm up first. Every operation's latency is
// recorded, by one reading of the clock an operation.
//
// # Invariants
//
//  1. What is not true is not fast: a read that misses a key which was written, finds one which was
//     not, returns another value's length or a scan with too few rows fails the run.
//  2. A workload that ran no operation fails the run.
//  3. Scratch stores lie in a fresh directory below Spec.Dir and are removed when Run returns, also
//     after an error or the context's end.
//  4. A Report names the library's build: figures with assertions on are not those of a release.
//
// # Concurrency
//
// Run and RunStore start goroutines and wait for all of them before they return. Results must not be
// compared when something else runs on the machine; Run cannot know.
package bench
