// Package kverr holds the errors of the key-value interface: the same sentinels whether the store is embedded or at the
// other end of a connection, and the numbers under which they travel.
//
//	engine, versioning, kvstore ── return ──►  sentinel  ◄── returns ── client
//	                                              │  ▲
//	                                     NumberOf │  │ Sentinel
//	                                              ▼  │
//	                              detail of an error message (net/pwp/wire)
//
// Package versioning and package client name those that they return as variables of their own, which are these very
// values: errors.Is(err, versioning.ErrExists) holds for an embedded store and for a remote one.
//
// # Invariants
//
//  1. Every sentinel matches exactly one marker of package base.
//  2. Every sentinel has exactly one number, and every number one sentinel. A number is never given to another error.
//
// # Concurrency, crashes
//
// There is no state. The package imports base and keys only, so that programs that merely talk to a store do not link
// RocksDB.
package kverr
