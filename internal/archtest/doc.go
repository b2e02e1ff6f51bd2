// Package archtest holds the rules of the house as tests: which package may import which, and a few habits of the
// source that no linter knows. It has no code of its own and nothing imports it.
//
// The house, from the bottom; arrows point downwards only:
//
//	cmd/pleiades                         the binary
//	     │
//	  vacuum ──────► versioning          versions on one shard, and their removal
//	                  │      │
//	     api  ◄───────┤      ├──────► engine      RocksDB: the only importer of grocksdb and of cgo
//	                keys    hlc         │
//	                  └──────┴── base ──┘         the errors that all layers share
//
// Rules, each a test of its own:
//
//  1. A package imports only those packages of ours that its row in houseRules names. A package without a row fails, so
//     that a new one gets its place in the house on purpose.
//  2. What somebody embeds stays small: the store never reaches the network, raft, memberlist or QUIC, not even
//     through a dependency. Nor does it import modules outside those its row names.
//  3. Only engine imports grocksdb and "C", in tests too.
//  4. Every package has a package comment in doc.go that `go doc` shows, and an Example with an Output comment; every
//     exported name is documented.
//  5. Formats use explicit numbers, never iota: inserting a line must not renumber what lies on disk.
//  6. Tests do not call time.Sleep, except in a synctest bubble, where time is virtual: it makes them slow on good days
//     and wrong on bad ones.
//  7. No file names a directory of one machine, or the address of a package mirror.
//  8. Files are short: 400 lines, tests 600; longer ones are listed with their reason.
//
// The tests read the source tree and ask `go list`; they write nothing and need no network.
package archtest
