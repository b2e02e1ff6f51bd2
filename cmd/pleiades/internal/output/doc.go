// Package output turns results into the five forms of the command line: table, json, jsonl, yaml, raw.
//
// A command builds rows (ordered fields) and never formats by itself:
//
//	Stream  many rows, written as they come: scan, history, shard list
//	Object  one row: stat, desc, version
//
// Invariants:
//  1. Only data goes to the writer; notes, progress and errors belong on standard error.
//  2. JSON and YAML never change bytes: a Bytes field that is not valid UTF-8 is written in base64 under
//     its name with "_b64" behind it.
//  3. A table holds printable text whatever the bytes are (package bytearg's quoted form).
//  4. Memory is bounded: a table's column widths are fixed by its first 256 rows, later rows stream.
//  5. The first write error ends the stream and is returned by every later call.
//
// A Stream belongs to one goroutine.
package output
