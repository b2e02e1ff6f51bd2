// Package cli holds the commands of pleiades, in embedded mode: they open the store in --dir themselves.
//
//	Run ── root ──┬─ kv put get history scan del purge cas desc load dump stat
//	              ├─ vacuum plan run · bucket show set · shard list create drop clone · check
//	              └─ keys decode · config show · cert · doctor · version · completion
//
// Nouns: an App is one run with its streams, environment and clock; a session is the open store of one
// command, closed before the command returns; results go through package output, errors through package exit.
//
// Invariants:
//  1. Standard output carries data only; notes, prompts, progress and errors go to standard error.
//  2. A command that only reads never creates a store, a shard or a bucket.
//  3. An interruption ends a command at the next safe point: a started commit is finished and reported.
//  4. Every error has an exit code and a fix line (package exit), and none is a panic.
//  5. A reader that went away (| head) ends a command quietly with code 0.
//
// Commands run in process in the tests, each on a store of its own. An App is used by one goroutine.
package cli
