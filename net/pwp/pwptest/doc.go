// Package pwptest is a connection in memory for tests of the wire protocol: two ends that behave as QUIC's do, with
// bounded windows, a bounded number of streams, halves that are finished and cut separately, and ways to be nasty.
//
// Pipe returns both ends. Options make reads arrive in pieces, windows small and streams few; methods of Conn stall the
// reader, cut everything, and end the handshake. All of it works inside a bubble of testing/synctest.
//
// # Invariants
//
//  1. A stream uses up one of its opener's credits until all of its halves are done: each finished or cut by its writer,
//     and read to its end or given up by its reader. Live counts the streams that are not.
//  2. Streams are accepted in the order of their numbers, which are QUIC's: 0, 4, 8… of the client, 1, 5, 9… of the server.
//  3. Nothing is kept without bound: a half holds at most its window.
package pwptest
