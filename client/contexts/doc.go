// Package contexts keeps the names under which a person reaches nodes: a file each, with addresses and certificates, so
// that neither the command line nor a program of theirs has to repeat them.
//
//	$PLEIADES_CONFIG_HOME, or $XDG_CONFIG_HOME/pleiades, or ~/.config/pleiades
//	├── current              the name of the context that holds when nobody says which
//	└── contexts
//	    └── local.toml       addr = "127.0.0.1:7420"
//	                         certs-dir = "…/certs"
//	                         user = "root"
//
// A context file is also a settings file of the command line, and may hold other settings of it (docs/operations.md); this
// package reads those that say how to reach a node, and skips the others.
//
// # Invariants
//
//  1. A file is replaced whole: a reader, or a crash, finds the old content or the new one.
//  2. Files have the mode 0600 and directories 0700: a context names certificates, and says what one person uses.
//  3. A name is 1 to 64 letters, digits, '-', '_' and '.', and begins with a letter or digit, so that it is a file name
//     everywhere and nothing else.
//
// # Concurrency, crashes
//
// There is no state; two programs that write one context at once leave one of both. Crashes: invariant 1; a temporary file
// may be left, and is never read.
package contexts
