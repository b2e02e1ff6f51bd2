// Package storemodel is a plain model of a versioned bucket, and a driver that does the same operations on the model and
// on a store and compares every answer.
//
// # Nouns
//
// A Bucket is the truth: for each key a slice of versions, the first of which has the number Oldest. An Op is one write in
// its terms; Refuse says which error it must meet, Apply does it. A Driver makes operations out of Choices, does them on
// both sides and compares what each write and each way of reading says.
//
//	Choices ──► Op ──► Refuse/Apply ──► Bucket ─┐
//	            └────► versioning.Bucket ───────┴─► compared: Get, GetVersion, GetAt, History, Describe, Scan
//
// Choices are the only source of chance: a seeded math/rand/v2.Rand in the model test of package versioning, the bytes of a
// fuzzer's input in package fuzz (Bytes).
//
// # Invariants
//
//  1. The model knows nothing of records, slots, caches or bases: it is written from the documentation of versioning.
//  2. Equal choices on an equal store give equal operations.
//  3. Every difference ends the test with the operations that led to it.
//
// # Concurrency
//
// A Driver belongs to one goroutine, and nobody else writes to its bucket. A crash leaves nothing: all of it is memory.
package storemodel
