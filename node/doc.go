// Package node builds one node out of the other packages, starts it, watches it and stops it: the composition root.
// Nothing below imports it. docs/operations.md is for those who run nodes.
//
//	       start, in this order                                     stop, in reverse
//	engine ─► clock ─► kvstore ─► certificates ─► endpoint ─► server ─► admin ─► ready
//	  │                             │                           │                  └ node.json, sd_notify; undone: the drain
//	  └ disk watch                  └ certificate watch         └ accept loop, a goroutine a connection
//
// A Settings says what the node is to be; Definitions are the names, defaults and help of the same things for a command
// line, an environment and files. A Node is what runs.
//
// # Invariants
//
//  1. Every goroutine belongs to the supervisor, or to a part that it stops; when Stop has returned without
//     ErrStopTimeout, none is left.
//  2. A part starts when all that it uses have started, and stops before any of them.
//  3. The first part that fails ends the node: Failed. Nothing goes on half.
//  4. Stopping is bounded: the drain by DrainTimeout, each other step by StopTimeout.
//  5. Everything that crosses the network has TLS with certificates on both sides. Certificates that a first start made are
//     used on the loopback only.
//  6. The admin page is on the loopback unless the operator says otherwise.
//
// # Concurrency
//
// All methods of Node may be called concurrently. Several nodes fit into one process; nothing is global.
//
// # Crashes
//
// What was acknowledged is in the engine's log. node.json stays and names a process that is gone, which Running notices. A
// first start that was cut goes on where it was.
package node
