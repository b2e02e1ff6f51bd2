// Package certs gives nodes and clients their identities: it makes the certificates of a constellation, keeps them live
// while a process runs, and builds the TLS configurations that let the right peers in.
//
//	DIR (0700)                          certificate (X.509, ECDSA P-256)
//	├─ ca.crt   every CA that is        URI SAN  pleiades://CONSTELLATION/ROLE/NAME
//	│           trusted, newest first            ROLE is node, client or ca
//	├─ ca.key   key of the signing CA   DNS, IP SANs of a node: the hosts it is reached by
//	├─ node.crt node.key
//	├─ client.NAME.crt client.NAME.key  Create… ─► files ─► Open ─► Source ─► ServerTLS, ClientTLS
//	└─ *.key.next  while rotating                            ▲ Reload, Watch (no restart)
//
// Nouns: an Identity is what a certificate says about its holder; a Leaf names the certificate of one node or client; a
// Source is the live content of one directory; a Peer is whom a dialler expects to meet.
//
// # Invariants
//
//  1. Only TLS 1.3, both sides show a certificate, and nothing in a certificate counts except what a CA in ca.crt signed.
//  2. Chain, validity, role, constellation and expected name are checked in VerifyConnection, which also runs when a
//     session is resumed. A session never lets in a peer whose CA has gone or whose certificate has run out.
//  3. A client's certificate is refused on the protocol of nodes; connections of nodes are never resumed and so never
//     carry early data.
//  4. Session ticket keys live in memory only, are replaced every 12 hours, and are dropped when a CA is removed.
//  5. A key that group or others can read is refused. Files are replaced whole: a reader finds the old pair or the new.
//  6. A Source never changes whom it stands for: files of another name, role or constellation are refused.
//
// # Concurrency
//
// All methods of Source may be called from any goroutine; so may the configurations it returned be used. The functions
// that write a directory lock it against each other, also across processes.
//
// # Crashes
//
// A new key is written to NAME.key.next and synced before the certificate it belongs to is renamed into place, and is
// renamed after it. Whatever the moment of a crash, the certificate in place has its key in one of the two files; readers
// try both, and the next writer finishes the renaming.
//
// HAZARD: validity is judged by this machine's wall clock. A clock that is years behind accepts certificates that have run
// out; one that is ahead refuses good ones.
package certs
