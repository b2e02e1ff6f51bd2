// Package record reads the inputs of "kv load" as a stream of keys and values.
//
//	jsonl  one JSON object a line: {"key":…,"value":…}, key_b64/value_b64 for other bytes, or any object
//	       whose key a template names; the value is then the whole line
//	tsv    key, tab, value; or the whole line under the columns that a template names
//	deb    Debian control stanzas (apt-cache dumpavail); the value is the stanza
//	dump   Pleiades' own format (package dump), with the history of each key
//
// Invariants:
//  1. Memory is bounded by Options.MaxBytes, whatever the input is: a longer line or stanza is skipped
//     as it streams by and reported as bad.
//  2. Bytes are never changed on the way: text that JSON cannot hold faithfully is a bad record.
//  3. A bad record is a *Bad with the number of its first line, and the next call goes on behind it; any
//     other error is final, and io.EOF is the regular end.
//
// A Source belongs to one goroutine. The slices of a Record are valid until the next call of Next.
package record
