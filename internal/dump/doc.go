// Package dump is the format of "kv dump": every version of every key of a bucket, as one stream. WriteBucket makes one of a
// bucket, Write of one at a node too, and a Restorer puts one into a bucket.
//
// All integers are big-endian; crc is CRC-32C.
//
//	header   +---------------+------------+----------+-----------+---------+-------+
//	         | "PLDUMP\r\n" 8 | version 2  | flags 2  | length 4  | payload | crc 4 |
//	         +---------------+------------+----------+-----------+---------+-------+
//	         payload: created (HLC, 12) · bucket 8 · max_versions 2 · rollover 1
//	         crc covers everything in front of it; version is 1 and flags is 0
//
//	record   +--------+-----------+---------+-------+
//	         | type 1 | length 4  | payload | crc 4 |      crc covers type, length and payload
//	         +--------+-----------+---------+-------+
//	type 1   one version: flags 1 · number 1 · timestamp (HLC, 12) · expiry 8, if flagged · key length 2 · key · value
//	         flags: 1 tombstone · 2 expiry follows · 4 latest of its key · 8 key is vacuumable
//	type 255 end: keys 8 · versions 8 · chain 4. chain is the crc over the crc fields of all records before
//
// Invariants:
//
//  1. A version record stands alone: any prefix of whole records is a usable part of the dump.
//
//  2. The versions of one key follow each other, oldest first; keys ascend.
//
//  3. Magic, version and checksums are checked in this order and fail as ErrNotDump, ErrVersion, ErrDamaged;
//     a dump that stops in front of its end record is ErrTruncated, never a shorter dump.
//
//  4. Reading allocates what has arrived, not what a length field claims.
//
//  5. A dump restored into an empty bucket and dumped again is the same dump, but for its header.
//
// A Writer and a Reader belong to one goroutine each.
package dump
