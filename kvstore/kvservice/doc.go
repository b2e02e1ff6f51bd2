// Package kvservice answers the requests of service 0x03, the key-value store, out of package kvstore.
//
//	pwp.Server ── Request ──► service ── decoded in place ──► Store (*kvstore.Store)
//	           ◄─ Reply ─────         ◄─ value lent ────────
//	           ◄─ Send, 32 KiB ──     ◄─ one entry at a time ─ scans, histories, lists, progress
//
// docs/kvstore.md describes the service for those who write clients. kvstore/kvwire numbers its messages.
//
// # Invariants
//
//  1. What a request may do is decided by the certificate of its connection, never by a field of the request.
//  2. Only requests that change nothing are run from early data (kvwire.ReadOnly).
//  3. A stream is sent in messages of about ChunkBytes: one entry more than fits, however large the entry is. No more than
//     that is held for a stream; a client that does not read stops the scan that feeds it.
//  4. An error leaves with the number of its sentinel (kvwire.ToWire). What has none is logged here, and the client is told
//     that it is an internal error and nothing else.
//
// # Concurrency, memory
//
// One goroutine a request. Requests are decoded without copying: keys and values that the store is given alias the
// request, and it keeps none of them.
//
// HAZARD: the room for unread answers counts what is built, not what is read to build it. Thousands of gets of values of 4
// MiB that nobody reads stay below 64 MiB; of 16 MiB, those that began before the connection was crowded were seen to hold
// 381 MiB.
//
// # Crashes
//
// Nothing here outlives the process. What was acknowledged is the store's.
package kvservice
