// Package vacuum removes versions that nobody wants any more: old versions of keys whose owner
// permits it, versions beyond what a policy or the bucket's settings keep, and keys that are deleted
// or expired.
//
// # Nouns
//
// A Policy says what may go. Plan walks over a bucket and yields Steps, each one deterministic
// operation on one key that applies only if the key's revision is still the one that was judged. Run
// executes the plan in bounded batches through an Executor, at a bounded rate, yielding to other
// load, and gives the space back to the disk. A Report says what was done, or, in a dry run, what
// would be.
//
//	             judged at revision r              applies if the revision is r
//	Scan ──► Policy ──► Step{drop below n | purge} ──► Executor ──► batch ──► engine
//	  ▲                                                   │ key changed meanwhile: skipped, the next
//	  └────────── next 2,048 keys ◄── pressure, rate ◄────┘ run judges it anew
//
// # What goes
//
// The latest version never goes by itself, and versions go from the oldest upwards: what remains of a
// key is always its newest versions, with their numbers, timestamps and revision unchanged.
//
//   - Keys marked vacuumable, or with Policy.AllKeys all keys, keep their newest KeepNewest versions
//     and whatever KeepNewerThan protects; the rest goes. The mark permits: an unmarked key loses
//     nothing to a policy without AllKeys.
//   - Every key loses what is beyond its bucket's max_versions: lowering that setting trims slowly by
//     itself.
//   - With Policy.Deleted and Policy.Expired, keys that are deleted or expired go as a whole.
//
// KeepNewerThan keeps every version that was the latest at any time since then, so that reads at a
// timestamp go on working that far back; it holds dead keys back for the same time.
//
// # Invariants
//
//  1. A step removes only what its key had at the revision that was judged.
//  2. Each batch is atomic, so a store is consistent at any moment: whether a run is cancelled, fails
//     or is killed, and whoever writes meanwhile.
//  3. A dry run reports exactly what a run would do to the same data at the same time.
//  4. No engine snapshot lives longer than the reading of one chunk of keys, so vacuum does not pin
//     what it wants to free.
//  5. Steps depend on nothing but the operation, so replicas that apply them stay identical.
//
// # Concurrency and crashes
//
// Run and Plan may run beside readers, writers and each other. They start no goroutines. Vacuum keeps
// no state of its own: after a crash, run it again; what was done is not done twice. Batches are not
// synced one by one: after a power failure the last of them may be missing, as a whole each.
package vacuum
