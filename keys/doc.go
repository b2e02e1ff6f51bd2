// Package keys is the codec of every key that Pleiades stores: the one place that knows how an
// application's key, its bucket and its versions become the bytes that RocksDB sorts.
//
// # The keyspace
//
// One column family holds one replica of one shard. Its keys begin with a namespace byte; here in
// sort order, as `ldb scan` shows them (testdata/keyspace.golden has an example of each):
//
//	'd' data       <bucket, 8 bytes> <binary-key> 0x00 "." "d"      descriptor of the key
//	               <bucket, 8 bytes> <binary-key> 0x00 "." <tag>    reserved general tag
//	               <bucket, 8 bytes> <binary-key> 0x00 ":" <slot>   one old version, slot 1..254
//	               <bucket, 8 bytes> <binary-key> 0x00 "@" "l"      latest version
//	'm' meta       "a"                                              applied index (replication)
//	               "b" <bucket, 8 bytes>                            settings of a bucket
//	               "c" "g" "i" "s" "t" "u"                          kvstore: catalog, limits, sessions, counters
//	               "v"                                              counted mark: the counters are right
//	'r' raft       "l" <index, 8 bytes>                             log entry (replication)
//	               "p"                                              last purged log id (replication)
//	               "s" "m", "s" <id>                                snapshots (replication)
//	               "v"                                              vote (replication)
//
// The default family is the node's own storage; its namespaces are disjoint from those of a shard,
// so that a record in the wrong family is recognised:
//
//	'c' settings   of the node
//	'h' hlc        the persisted upper bound of the clock
//	'i' identity   of the node
//	'l' loads      progress of an unfinished load
//	's' shards     <shard id, 8 bytes>                              live incarnation of a shard
//
// All integers are big-endian. Rows marked "replication" are reserved: that layer writes them.
//
// # A data key
//
//	 0        1                9                          n-3    n-2    n-1
//	+--------+----------------+--------------------------+------+------+------+
//	|  'd'   | bucket id, BE  | key, each 00 as 00 FF    |  00  | delim| tag  |
//	+--------+----------------+--------------------------+------+------+------+
//	 \_________________________ stem _________________________/ \__ suffix __/
//
// Keys of an application are not stored verbatim. With the suffix put straight behind the key, the
// records of different keys interleave: version 46 of key "a" would be "a:.", which sorts before
// "a:.d", the descriptor of key "a:", while version 47 sorts behind it; and "a@l" sorts behind
// "a!@l" although "a" < "a!". Scans, ranges and splits would be wrong. So each 0x00 of the key is
// written as 0x00 0xFF and one bare 0x00 ends it. A bare 0x00 is always followed by a delimiter,
// all of which are below 0xFF, so the two cannot be confused. TestLiteralLayoutInterleaves shows
// what would happen without it.
//
// # Invariants
//
//  1. Round trip: Parse returns exactly what was appended, and a record that Parse accepts is
//     re-encoded to the same bytes. Everything else is refused with a typed error.
//  2. Order: bytes.Compare on stored keys equals (bucket, key, suffix) order, so RocksDB's own
//     comparator is the right one. Suffixes sort descriptor, reserved tags, versions, latest.
//  3. Contiguity: all records of a key lie between KeyBounds(b, key) and no other record does.
//  4. Prefix freedom: no data key is a prefix of another one, and no stem with a delimiter behind it
//     is. HAZARD: a bare stem can be: that of "a" begins that of "a\x00", where a 0xFF follows it. So
//     compare stems whole, with HasStem, never with bytes.HasPrefix, and go past a key's records
//     with StemBounds, never by appending more than one 0xFF to the stem.
//  5. A bucket is one contiguous range, and so is every range of keys and every prefix in it.
//  6. The last two bytes of a data key are always the suffix.
//
// # Concurrency, memory, crashes
//
// All functions are pure and may run concurrently. Append functions allocate only when dst is too
// short; they never keep their arguments. Nothing here touches a disk, so a crash leaves nothing.
package keys
