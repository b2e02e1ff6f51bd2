// Package pwp runs the Pleiades Wire Protocol on any connection that has streams: a Server answers requests, a Client
// sends them. It knows neither QUIC nor the database; package wire has the bytes, package pair the rules,
// docs/protocol.md the protocol as a whole, and DESIGN.md why it is built like this.
//
//	Client ─ Open ─► Pair ── Call, Stream, Ping ──►  │ Conn │  ──► Server ── Handle(service, Handler)
//	                  │                              │      │        │
//	                link: pair.Machine, one reader, a writer  │      link … Request, a goroutine each
//	                while there is something to write         │
//
// # Invariants
//
//  1. Every goroutine belongs to a Server or a Client, and has ended when its Close returns.
//  2. What a peer can make this side hold is bounded: pairs, requests, bytes of received messages (by what arrived, not by
//     what was announced), bytes waiting to be written. At a bound the peer is not read, or told; it is never memory.
//  3. A peer that stops in the middle — of a set-up, of a message, of reading — is cut off after a limit, with a close code
//     that says so. A pair that is merely idle stays, and costs a goroutine and a few kilobytes.
//  4. A request that fails without an answer says whether it was not run (ErrNotRun, wire.ErrUnavailable) or may have been
//     (ErrLost, base.ErrUnknownOutcome).
//  5. What came in early data is run before the handshake is done only if the service allows it for that type.
//
// # Concurrency, memory
//
// Servers, clients and pairs may be used from any number of goroutines; a Responses from one. Messages handed to a handler
// are valid until it returns, those of Responses.Next until the next call; bodies given to a method are free when it
// returns. On its way a message is copied once into the queue and once out of the transport.
//
// # Crashes
//
// Nothing here outlives the process. The peer finds its streams cut, and ErrLost says what that means.
package pwp
