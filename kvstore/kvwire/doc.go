// Package kvwire is what the server and the clients of the kvstore service (0x03 of the wire protocol) have in common:
// the numbers of its messages, and errors on their way through a connection.
//
//	client ── PutRequest, type 0x03 ──►  kvstore/kvservice ──►  kvstore
//	       ◄─ WriteResponse, type 0x04 ─
//	       ◄─ wire.Error{Code, Detail} ─  Detail: number of the sentinel in package kverr
//
// The messages themselves are in api/kvstore/v1. docs/kvstore.md describes the service for those who write clients.
//
// # Invariants
//
//  1. A request has an odd type, its response the next one.
//  2. An error that leaves the store as one of kverr's sentinels reaches the caller as the same one.
//
// # Concurrency, crashes
//
// There is no state. The package does not link RocksDB.
package kvwire
