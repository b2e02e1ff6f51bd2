// Package fuzz holds the fuzz targets that need more than one package: whole stores under sequences of operations, stored
// bytes of any kind, batches, dumps and encodings. What one package can test alone has its target beside its code.
//
//	target          input is                                      judged by
//	FuzzSequence    operations on a store, reopenings, clones,    a plain model of the bucket (internal/storemodel), and
//	                vacuums, dumps and restores                   versioning.Check at the end
//	FuzzStoredRows  rows of a shard, written behind the store's   every way of reading, vacuum, dump, writing: typed errors;
//	                back                                          none at all where versioning.Check finds nothing
//	FuzzBatch       engine batches over several shards            a map; read back by RocksDB, and again from its log
//	FuzzDump        versions of a dump, whole or damaged          versioning.Check, and the dump of what was restored
//	FuzzEncodings   keys, records and descriptors                 order, bounds and parsing of what RocksDB iterates over
//	FuzzMessages    every message of api/                         protobuf's own decoder; what is decoded encodes again
//
// All tests of this package are fuzz targets: `make fuzz PKG=./fuzz` runs them, `go test` runs their seeds and the corpus in
// testdata/fuzz. There is no other code.
//
// # Invariants
//
//  1. An input means the same on every run: nothing but its bytes decides. Wall clocks are manual, groups of writers join.
//  2. One engine serves many inputs, each in an empty shard, so that an input takes about a millisecond. It lies in memory
//     (the system's temporary directory where there is no such place) and is removed at the end.
//  3. Inputs are bounded: a number of operations, not of bytes, so that a long input is no slow one.
//
// # Concurrency and crashes
//
// Each worker process of go test has a store of its own. A worker that is killed leaves a directory pleiades-fuzz-* behind.
package fuzz
