// Package system is service 0x05 of the wire protocol: what a node says about itself, to programs and to "pleiades node
// status" and "pleiades net contexts".
//
//	client ── HealthRequest, NodeRequest, … ──►  New(&Sources{…})  ── calls ──►  the node's own functions
//
// The package knows messages and their numbers; the answers come from the functions of Sources, so that it links neither
// database nor transport, and a client can use the numbers.
//
// # Invariants
//
//  1. No request changes anything: all may be run from early data, and sent again.
//  2. A source that is missing is answered as not available, which a client may try elsewhere; never with made-up zeros.
//  3. A list is sent in pieces of bounded size; a single message never grows with what the node serves.
//
// # Concurrency, crashes
//
// A Service may run any number of requests at once and calls its sources so. It has no state.
package system
