// Package faultfs is a file system for tests that knows what a crash would leave of it. It is mounted
// by FUSE, so that any program writes to it (RocksDB in a child process, say), lives in memory, and can
// lose unsynced writes, tear them, fail, fill up and stall. Only tests import it.
//
//	programs ──► kernel ──► [ rules ──► Observe ──► operation ]
//	                                                    │
//	                 live ◄─────────────────────────────┤   what programs see
//	                 pending changes ◄──────────────────┘   since the last sync, in order
//	                 durable ◄── fsync                      what the disk has
//	                    │
//	                 Image(loss): durable, and of the pending changes what the loss spares
//
// # The model
//
//  1. A file's contents are durable from an fsync or fdatasync of the file on, a name from an fsync of
//     its directory on. Neither brings the other: a synced file in an unsynced directory is lost, and a
//     synced name of an unsynced file means an empty one. This is what POSIX promises and less than
//     ext4 and XFS give, whose fsync writes back all earlier changes of names.
//  2. A sync makes all earlier changes of that file, or of that directory's names, durable. A rename
//     between directories happens in both or in none; it takes the earlier changes of both along.
//  3. What is not synced may be lost or kept, as a Loss says: all lost; for each file and for the names
//     a point up to which changes are kept; a torn write behind that point; writes kept and lost in no
//     order; all kept (the process dies, the machine lives).
//  4. What is lost leaves no trace: earlier contents, or zeros. There is no garbage from other files,
//     and synced bytes never change.
//  5. Syncs are numbered in their order. A crash can be had at each, before it takes effect.
//  6. Of a file with 1,024 unsynced changes the older half counts as written back, as a kernel does
//     after some seconds.
//
// Not modelled: permissions beyond bits, extended attributes, syncfs, mmap of shared files for writing
// (the kernel would write back when it likes), space that names take. Times and modes are never lost.
//
// # Many crash states from one run
//
// Contents are pages that never change and images share them, so an image costs microseconds and some
// kilobytes. A test takes one at each sync point from Options.Observe, while the program under test
// waits in its fsync, and checks them all afterwards. What else the test must know of that moment, such
// as what had been acknowledged, the program under test writes into a file on the mount: reads by
// Moment.ReadFile are exact, where a pipe would have been a little late.
//
// # Concurrency
//
// Everything may be called from any goroutine. One lock holds the whole file system; stalled operations
// wait outside it. The goroutines of a mount end with Unmount.
//
// HAZARD: a process that serves a mount should not use it for more than simple calls on files: a
// goroutine that waits in a page fault or in cgo for its own process can wait for ever. RocksDB belongs
// in a child. Kill children before the unmounting.
package faultfs
