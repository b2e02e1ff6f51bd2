// Package client talks to a Pleiades node: it puts, gets, scans and looks back, and manages accounts and buckets.
//
//	identity, err := certs.Open("certs", certs.ClientLeaf("root"), nil)
//	c, err := client.Open(ctx, []string{"127.0.0.1:7420"}, &client.Options{Certs: identity})
//	stars := c.Bucket("stars") // or "account/stars"; "" is the default bucket
//	res, err := stars.Put(ctx, []byte("maia"), []byte("blue"), nil)
//	v, err := stars.Get(ctx, []byte("maia"))
//
// Values, descriptors, options and errors are those of package versioning under the same names, so that a program can move
// between an embedded store and a node. errors.Is sees the same sentinels on both sides of the wire.
//
// # How it works
//
//	Bucket.Put ─► session: id, number ─► attempt ─► pair, shared ──────┐
//	Bucket.Get ────────────────────────► attempt ─► pair, shared ──────┤ one connection,
//	a value over 64 KiB ───────────────► attempt ─► pair for bulk ─────┤ made anew when it breaks
//	Bucket.Scan ───────────────────────► follow ──► a pair of its own ─┘
//	                                       ▲
//	            tries: backoff, jitter ────┘
//
// What becomes of a request that fails depends on what is known of it. Not run (the node stops, is overloaded, or was not
// reached): it is sent again. Lost (the connection broke before the answer): a read is sent again, and so is a write, under
// the same number of the same session, for which the store keeps the answer. Answered: the answer is returned. A session
// that the store has forgotten ends in ErrUnknownOutcome where an earlier attempt was lost, and in a new session where not.
//
// A node that was killed says nothing. When packets have not been acknowledged for a second, the connection gets no new
// requests and another one is tried, to the next address first; as soon as one stands, what waits on the silent one counts as
// lost. Without another, Options.SilenceTimeout ends the wait.
//
// # Invariants
//
//  1. A write that returned without an error was done exactly once, and is on disk. One that returned with an error was not
//     done, unless the error matches ErrUnknownOutcome.
//  2. A scan or history yields nothing twice and leaves nothing out of what was there all the time, however often the
//     connection breaks.
//  3. What a client holds is bounded: Options.MaxInFlight requests, Options.MaxBulkBytes of large ones, a few messages of
//     each stream. Large values of answers are the caller's.
//  4. Every goroutine has ended when Close returns.
//  5. The package does not link RocksDB.
//
// # Concurrency, crashes
//
// Everything but Batch and Ping may be used from any number of goroutines. A client keeps nothing on disk: when it dies, its
// session ends by itself after the idle time of the store.
//
// HAZARD: exactly once rests on the session of one Client. A program that repeats a write through another Client, or after
// a restart of its own, writes twice; conditions (PutOptions.IfRevision, IfAbsent) are the way out.
package client
