// Package pair is the state machine of one stream pair, in both roles, without any input or output: bytes go in, events
// and bytes to be sent come out. It never waits, never reads a clock, starts nothing, and gives the same answers to the
// same calls, so that a conversation can be written down, compared and fuzzed.
//
// # Nouns
//
// A Machine is one peer's view of one pair. What it receives becomes an Event. What it wants to be sent collects in an
// Output, which its owner takes and writes. A request has an owner, any value that the caller gave it, and gets it back
// with the answer.
//
//	                     request stream N                    response stream N+1
//	client's half        HELLO … requests … CLOSE            finished at once, empty
//	server's half        RESPONSE_STREAM_ID, finished        HELLO … responses … CLOSE
//
// # States of the half that is received
//
//	            HELLO          STREAM_SETUP_COMPLETE         SERVICE_TYPE_*(ready)
//	[hello] ──────────► [setup] ──────────────────► [open] ──────────────────► [established]
//	   a client goes from hello straight to open       │                              │
//	                                                   │ refused                      │ CLOSE or end of stream
//	                                                   ▼                              ▼
//	                              any fault ──────► [over] ◄─────────────────────── [closed]
//
// In closed the peer has said all it will say; answers of what it asked still go out. In over everything is discarded.
//
// # Invariants
//
//  1. A byte that the peer may not send now never changes anything but the state, which becomes over: one error message
//     about the pair where the peer can read it, CLOSE, and a wire.CloseCode that names the fault.
//  2. Every request has exactly one last answer: a response, an end of stream, or an error; or the pair ends without it.
//  3. When a server ends a pair without an error about the pair, every request that has no last answer was not run.
//  4. The size of a message is checked, by the event that announces it, before anybody allocates for it.
//  5. What is tracked is bounded: MaxRequests requests, MaxTests latency tests and MaxStatuses status requests at a time.
//
// # Concurrency
//
// A Machine is not safe for concurrent use; its owner holds a lock around every method but Check.
package pair
