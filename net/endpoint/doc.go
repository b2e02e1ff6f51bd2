// Package endpoint is the QUIC socket that Pleiades lives on: one UDP port that accepts connections and dials them, TLS 1.3
// with certificates on both sides, early data for clients, datagrams, and a cache of connections to peers. A Conn carries
// the stream pairs of package pwp; docs/protocol.md has what goes over the wire, "The connection" what this package adds.
//
//	           ┌────────────────────── Endpoint ──────────────────────┐
//	UDP port ──┤ accept: handshake, identity ─► Accept ─► *Conn       ├── pwp.Server.ServeConn
//	           │ dial:   Dial, Peer (cache, one dial at a time) ─► *Conn ├── Conn.Client (*pwp.Client)
//	           └── certs.Source: live certificates, ticket keys ──────┘
//
// # Invariants
//
//  1. Accept hands out a connection when its peer's certificate is verified: after the handshake, or, with early data, by the
//     certificate of the session's ticket. Until HandshakeDone is closed what arrives may be a replay.
//  2. Connections with ALPNNode never carry early data, in either direction, and have node certificates on both sides.
//  3. Every limit of QUIC is set here, none is left to a default: streams, windows, timeouts, connections, datagrams.
//  4. A connection ends with a typed reason: Conn.Err.
//  5. SendDatagram never waits. What finds no room is dropped and counted, as a network does.
//  6. Per peer there is at most one dial at a time, and after a failure none until its backoff is over.
//  7. When a CA is removed, tickets are worthless at once, and connections whose peer it vouched for are closed.
//
// # Concurrency
//
// All methods may be called concurrently. Every goroutine belongs to an Endpoint, and has ended when Close returns.
//
// # Crashes
//
// Nothing here outlives the process. Peers learn of it by a stateless reset, if Options.StatelessResetKey is the same after
// the restart, or by silence. Tickets of before are refused: their early data was not run (ErrEarlyRejected).
package endpoint
