package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// The manifest EXPORT of an exported shard, all integers big-endian:
//
//	offset  size  what
//	0       8     magic "PLEXPORT"
//	8       2     format version, 1
//	10      1     flags: bit 0 = checksums are there
//	11      8     shard id
//	19      8     incarnation
//	27      4     number of files
//	31      …     the files, ascending by level, then smallest key
//	end-4   4     CRC-32C of everything before
//
//	file:   name (u16 length, bytes) | size u64 | level u8 | smallest sequence u64 | largest sequence u64 |
//	        entries u64 | smallest key (u32 length, bytes) | largest key (u32 length, bytes) |
//	        CRC-32C of the file u32 (0 without checksums)
//
// Magic, version and checksum are checked in this order and give three different errors.
const (
	exportFileName = "EXPORT"
	exportMagic    = "PLEXPORT"
	exportVersion  = 1

	exportFlagChecksums = 1 << 0
	exportFlagsKnown    = exportFlagChecksums

	exportHeaderBytes  = 31
	exportFileMinBytes = 2 + 8 + 1 + 8 + 8 + 8 + 4 + 4 + 4
	exportMaxLevel     = 62
)

// ExportFile is one table file of an export.
type ExportFile struct {
	// Name is the file's name in the export's directory: digits and ".sst".
	Name string
	// Bytes is the file's size.
	Bytes int64
	// Level is where the file stands in the family: level 0 may overlap, deeper ones do not.
	Level int
	// SmallestSeq and LargestSeq are the sequence numbers of the file's oldest and newest record.
	SmallestSeq, LargestSeq uint64
	// Entries counts the records, deletions included.
	Entries uint64
	// Smallest and Largest are the first and the last key, both inclusive.
	Smallest, Largest []byte
	// CRC32C is the checksum of the file's bytes when Export.Checksums is set, 0 otherwise.
	CRC32C uint32
}

// Export is the complete state of one shard as table files in a directory.
type Export struct {
	// Dir is the directory that holds the files; not part of the manifest.
	Dir string
	// Shard and Incarnation say what was exported. An import may give it any other id.
	Shard       ShardID
	Incarnation Incarnation
	// Checksums says that every file's CRC32C is set.
	Checksums bool
	// Files is empty for a shard without rows.
	Files []ExportFile
}

// Bytes is the size of all files together.
func (x *Export) Bytes() int64 {
	var n int64
	for _, f := range x.Files {
		n += f.Bytes
	}
	return n
}

// AppendExport appends the manifest of x, in canonical order, to dst.
func AppendExport(dst []byte, x *Export) []byte {
	start := len(dst)
	dst = append(dst, exportMagic...)
	dst = binary.BigEndian.AppendUint16(dst, exportVersion)
	var flags byte
	if x.Checksums {
		flags |= exportFlagChecksums
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(x.Shard))
	dst = binary.BigEndian.AppendUint64(dst, uint64(x.Incarnation))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x.Files)))
	files := slices.Clone(x.Files)
	slices.SortFunc(files, compareExportFiles)
	for _, f := range files {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.Name)))
		dst = append(dst, f.Name...)
		dst = binary.BigEndian.AppendUint64(dst, uint64(f.Bytes))
		dst = append(dst, byte(f.Level))
		dst = binary.BigEndian.AppendUint64(dst, f.SmallestSeq)
		dst = binary.BigEndian.AppendUint64(dst, f.LargestSeq)
		dst = binary.BigEndian.AppendUint64(dst, f.Entries)
		for _, k := range [][]byte{f.Smallest, f.Largest} {
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(k)))
			dst = append(dst, k...)
		}
		dst = binary.BigEndian.AppendUint32(dst, f.CRC32C)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// compareExportFiles orders files by level, smallest key and name.
func compareExportFiles(a, b ExportFile) int {
	if a.Level != b.Level {
		return a.Level - b.Level
	}
	if c := bytes.Compare(a.Smallest, b.Smallest); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// ParseExport takes a manifest apart. Keys are copied. Errors: ErrInvalid when b is not a manifest at
// all, ErrNewerFormat, ErrCorruption.
func ParseExport(b []byte) (*Export, error) {
	if len(b) < len(exportMagic) || string(b[:len(exportMagic)]) != exportMagic {
		return nil, fmt.Errorf("%w: not the manifest of an export: it does not begin with %q", ErrInvalid, exportMagic)
	}
	if len(b) < len(exportMagic)+2 {
		return nil, errExportShort
	}
	if v := binary.BigEndian.Uint16(b[len(exportMagic):]); v > exportVersion {
		return nil, fmt.Errorf("%w: export format %d, this program reads up to %d; use a newer pleiades", ErrNewerFormat, v, exportVersion)
	} else if v == 0 {
		return nil, fmt.Errorf("%w: manifest of an export: version 0", ErrCorruption)
	}
	if len(b) < exportHeaderBytes+4 {
		return nil, errExportShort
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: manifest of an export: checksum mismatch", ErrCorruption)
	}
	flags := body[10]
	if flags&^byte(exportFlagsKnown) != 0 {
		return nil, fmt.Errorf("%w: manifest of an export: unknown flags %#x", ErrNewerFormat, flags)
	}
	x := &Export{
		Shard:       ShardID(binary.BigEndian.Uint64(body[11:])),
		Incarnation: Incarnation(binary.BigEndian.Uint64(body[19:])),
		Checksums:   flags&exportFlagChecksums != 0,
	}
	count := int64(binary.BigEndian.Uint32(body[27:]))
	r := exportReader{rest: body[exportHeaderBytes:]}
	if count > int64(len(r.rest)/exportFileMinBytes) {
		return nil, errExportShort
	}
	for range count {
		f := ExportFile{
			Name: string(r.take(int(r.number(2)))), Bytes: int64(r.number(8)), Level: int(r.number(1)),
			SmallestSeq: r.number(8), LargestSeq: r.number(8), Entries: r.number(8),
		}
		f.Smallest = bytes.Clone(r.take(int(r.number(4))))
		f.Largest = bytes.Clone(r.take(int(r.number(4))))
		f.CRC32C = uint32(r.number(4))
		x.Files = append(x.Files, f)
	}
	if r.short || len(r.rest) != 0 {
		return nil, errExportShort
	}
	if err := x.check(); err != nil {
		return nil, err
	}
	return x, nil
}

var errExportShort = fmt.Errorf("%w: manifest of an export: lengths do not add up", ErrCorruption)

// exportReader takes bytes from the front; after short every further one is zero.
type exportReader struct {
	rest  []byte
	short bool
}

func (r *exportReader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *exportReader) number(n int) uint64 {
	var v uint64
	for _, c := range r.take(n) {
		v = v<<8 | uint64(c)
	}
	return v
}

// check finds what RocksDB would take for granted, or only assert: plausible names, levels, bounds,
// canonical order, and no overlap below level 0 (neighbours may share a key's versions).
func (x *Export) check() error {
	names := map[string]bool{}
	for i, f := range x.Files {
		switch {
		case !validTableName(f.Name):
			return exportFault(f, "is no name of a table file")
		case names[f.Name]:
			return exportFault(f, "is listed twice")
		case f.Bytes <= 0 || f.Entries == 0:
			return exportFault(f, "is empty")
		case f.Level > exportMaxLevel:
			return exportFault(f, "has an impossible level")
		case f.SmallestSeq > f.LargestSeq || f.LargestSeq >= 1<<56:
			return exportFault(f, "has impossible sequence numbers")
		case bytes.Compare(f.Smallest, f.Largest) > 0:
			return exportFault(f, "has its bounds inverted")
		case !x.Checksums && f.CRC32C != 0:
			return exportFault(f, "has a checksum that is said not to be there")
		}
		names[f.Name] = true
		if i == 0 {
			continue
		}
		before := x.Files[i-1]
		if compareExportFiles(before, f) > 0 {
			return exportFault(f, "is out of order")
		}
		if f.Level > 0 && f.Level == before.Level && bytes.Compare(before.Largest, f.Smallest) > 0 {
			return exportFault(f, "overlaps "+before.Name)
		}
	}
	return nil
}

func exportFault(f ExportFile, what string) error {
	return fmt.Errorf("%w: manifest of an export: file %q %s", ErrCorruption, f.Name, what)
}

// validTableName accepts 1 to 20 digits and ".sst": nothing that leads out of the directory.
func validTableName(name string) bool {
	digits, ok := strings.CutSuffix(name, ".sst")
	return ok && len(digits) >= 1 && len(digits) <= 20 && strings.Trim(digits, "0123456789") == ""
}

// errNoManifest says that a directory is not an export, or an unfinished one.
var errNoManifest = errors.New("no manifest: not an export, or one that was not finished")
