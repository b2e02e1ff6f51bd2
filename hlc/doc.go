// Package hlc is a hybrid logical clock: timestamps that follow the wall clock closely, never repeat
// and only grow, on one node across restarts and between nodes that exchange them.
//
// # Nouns
//
// A Timestamp is a wall time in nanoseconds since 1970 UTC and a logical counter that orders events
// of the same nanosecond. A Clock issues timestamps (Now) and takes in those of other nodes (Update).
// A BoundStore keeps the clock's upper bound on disk. A Manual is a wall clock for tests.
//
// # On disk and on the wire
//
//	 0                               8               12
//	+-------------------------------+---------------+
//	| wall nanoseconds, 8 bytes BE  | logical, 4 BE |    bytes.Compare is timestamp order
//	+-------------------------------+---------------+
//
// As text: "1763812345.123456789,7", seconds with nine decimals, comma, logical.
//
// # Invariants
//
//  1. Every timestamp that Now or Update returns is above all that the clock returned or accepted
//     before it.
//  2. Every timestamp that the clock ever returned is below the bound that its store held at that
//     moment. A clock starts at its bound, so invariant 1 holds across kill -9, without any waiting.
//  3. A remote timestamp further than MaxOffset ahead of the wall clock is refused and changes
//     nothing, so one node with a broken clock cannot carry the others along.
//  4. The bound is stored at most MaxOffset ahead of the wall clock (and a nanosecond more where a
//     timestamp needs it), and a start tolerates MaxOffset + BoundAhead: however often a process
//     crashes, its next start works, and its timestamps are ones that its peers accept.
//
// # The bound
//
//	   last issued        wall clock       bound on disk
//	------|-------------------|-----------------|------------> time
//	                          |<- BoundAhead -->|
//
// The bound is extended by the caller whose timestamp finds less than half of BoundAhead left. That
// call alone waits for the disk; the others go on below the old bound, and wait only when they would
// reach it. An idle clock writes nothing: neither does opening or closing an unused one. Close writes
// the exact bound, one above the last timestamp, so that many short-lived processes in a row do not
// creep ahead of the wall clock.
//
// # Hazards
//
// HAZARD (quorum of one bound): a BoundStore that says a bound is stored before it would survive a
// power failure can repeat timestamps after one. For kill -9 the operating system's cache suffices.
//
// HAZARD (restored disk): a directory restored from a copy, or run twice, brings an old bound back,
// and the clock falls back to the wall clock alone.
//
// HAZARD (wall clock set back while stopped): the clock refuses to start (ErrClockBehind) when the
// bound is more than MaxOffset + BoundAhead ahead of the wall clock. While it runs, a wall clock that is set back
// makes it stand still and count in the logical part; timestamps still only grow.
//
// HAZARD (wall clock set forward): timestamps follow it, and can never come back. With
// Options.MaxJump set, a step forward stops the clock (ErrClockJump) until someone acknowledges it.
// It compares the wall clock with the monotonic one, which on Linux stands still while the machine
// is suspended: resuming a suspended machine is such a step. That is why it is off by default.
//
// HAZARD (leases): a timestamp after a start may be up to the bound ahead of real time. Whoever needs
// real time to have passed what this node promised before a restart calls WaitBound first.
//
// # Concurrency and crashes
//
// All methods of Clock and Manual may be called concurrently. The package starts no goroutines. A
// crash at any point leaves the bound before or after the extension under way: both are above every
// timestamp that was issued.
package hlc
