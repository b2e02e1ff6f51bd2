// Package wire is the codec of the Pleiades Wire Protocol, version 1: every byte that two peers exchange on a
// stream pair, and nothing that reads, writes or waits. docs/protocol.md explains the protocol; this package pins it.
//
// # Nouns
//
// A Frame is a magic byte and its metadata payload, an unsigned integer of 0, 1, 4 or 8 bytes. A message is a Prelude
// (type, checksum, size) and protobuf bytes. An Envelope is the part of a message that the protocol itself reads: the
// request id, and how long the sender will wait. An Error is the message of type 0x00. A CloseCode is the QUIC
// application error code that names why a stream was cut.
//
// # The bytes
//
//	 0        1                          1 + payload
//	+--------+--------------------------+
//	| magic  | metadata payload, BE     |                                        a frame
//	+--------+--------------------------+
//
//	 0    1    2    3             7    8                       16
//	+----+----+----+-------------+----+-----------------------+----------------+
//	| 20 |type| 21 | CRC-32C, BE | 22 | size of what follows  | protobuf bytes |   a message
//	+----+----+----+-------------+----+-----------------------+----------------+
//
// All integers are big-endian; those inside the protobuf bytes are protobuf's.
//
// # Invariants
//
//  1. Round trip: Parse accepts exactly what the Append functions write, and what it accepts is encoded to the same
//     bytes again. One exception, on purpose: a prelude with 0x21 in the place of the size is accepted (the printed
//     draft gives that byte to both) and written with 0x22.
//  2. Every proper prefix of a valid encoding fails with ErrTruncated, and bytes that no continuation can make valid
//     fail with another error at once: a reader may call Parse on what has arrived so far and never waits in vain.
//  3. Nothing here allocates by a size that a peer sent.
//  4. A number once given to a byte, a code or a field is never given to another meaning.
//
// # Concurrency, memory, crashes
//
// All functions are pure and may run concurrently. Append functions allocate only when dst is too short and keep
// nothing of their arguments. What Parse functions return aliases nothing, except where they say so. Nothing here
// touches a disk.
package wire
