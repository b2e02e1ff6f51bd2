// Package crashtest crashes programs and looks at what is left. A program, a child process, works on a
// store on a faultfs mount and notes what was acknowledged to it; at every sync point the file system
// records what a crash there would leave, under one of the kinds of loss; afterwards each of these
// states is opened, checked, and compared with what had been acknowledged. One run of a program gives
// thousands of states.
//
//	child process                          test
//	┌───────────────┐   FUSE   ┌─────────────────────────┐      ┌──────────────────────────────┐
//	│ writers ► store ───────► │ faultfs: at each fsync   │ ───► │ write into a directory, open, │
//	│         ► witness ─────► │ Image(loss), acks so far │      │ check, compare with the model │
//	└───────────────┘          └─────────────────────────┘      └──────────────────────────────┘
//
// # What is verified
//
// Each writer's operations are a function of the seed, so the test knows the state of its part of the
// store after any number of them. After a crash the store must be, for each writer, in the state after
// n operations with
//
//		durable <= n <= acknowledged + 1
//
//	 1. durable is up to the last acknowledged synced operation: none of it is lost. When only the process
//	    died it is everything acknowledged.
//	 2. n is one number for all shards and keys of the writer: no batch is half there, unsynced ones are
//	    lost from the end only, in their order.
//	 3. n is at most one more than was acknowledged: nothing comes from nowhere.
//	 4. Shards that were dropped are gone, those that were made exist, with what the operation that made
//	    them live says and nothing else; acknowledged checkpoints open and hold what they should.
//	 5. Every invariant that versioning.Check knows holds, all checksums of tables are right.
//	 6. The recovered store can be written to, and a crash during recovery changes none of this.
//
// # That it can fail
//
// A test fails when it verified fewer states than planned, when the program acknowledged fewer synced
// operations than planned, and when the crashes took nothing. `make crash-canaries` builds the store
// with two planted bugs, one after the other, and shows that the suite finds each.
//
// # Limits
//
// What writers do is repeated by a seed, how they interleave is not. Losses are those that faultfs
// models: earlier contents, shorter files, zeros; not bytes that change by themselves. A store whose
// manifest reads as zeros at its unsynced end is refused by the engine; such states are counted as
// refused, not as verified.
package crashtest
