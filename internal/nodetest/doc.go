// Package nodetest runs a node in the process of a test: a real engine in a directory of the test's, real certificates, a
// real socket on loopback, and the services of a node, without its command line and its supervisor.
//
//	client, CLI ── QUIC on 127.0.0.1 ──► endpoint ► pwp.Server ► kvservice ► kvstore ► engine
//
// # Invariants
//
//  1. A node keeps its address over Stop, Cut and Start.
//  2. When Stop or Cut returns, everything that the node started has ended. The end of the test stops it.
//
// # Concurrency, crashes
//
// The methods of a Node are for one goroutine. Cut ends connections as a dying process does, in the middle of requests; the
// engine is closed in order, since a process cannot lose its memory in parts. Tests that kill belong to a process of its own.
package nodetest
