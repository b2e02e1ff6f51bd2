package engine

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The format file PLEIADES marks a directory as a store and says which format it has. It is text, so
// that an operator can read it:
//
//	PLEIADES 1\n            magic and format version
//	engine rocksdb\n        what holds the data
//	crc32c 0123abcd\n       of all bytes before this line, lower-case hex
//
// Magic, version and checksum are checked in this order and give three different errors. Lines that
// a later minor change adds stand between the first and the last and are ignored.
const (
	formatMagic   = "PLEIADES "
	formatVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFormatFile appends the text of a current format file.
func appendFormatFile(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, formatMagic...)
	dst = strconv.AppendInt(dst, formatVersion, 10)
	dst = append(dst, "\nengine rocksdb\n"...)
	return fmt.Appendf(dst, "crc32c %08x\n", crc32.Checksum(dst[start:], castagnoli))
}

// parseFormatFile checks the text of a format file and returns its version.
func parseFormatFile(b []byte) (version int, err error) {
	if !bytes.HasPrefix(b, []byte(formatMagic)) {
		return 0, fmt.Errorf("%w: the file %s does not begin with %q", ErrNotAStore, formatFileName, formatMagic)
	}
	line, rest, _ := strings.Cut(string(b[len(formatMagic):]), "\n")
	version, err = strconv.Atoi(line)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%w: the file %s has no version", ErrCorruption, formatFileName)
	}
	if version > formatVersion {
		return version, fmt.Errorf("%w: format %d, this program reads up to %d; use a newer pleiades", ErrNewerFormat, version, formatVersion)
	}
	at := strings.LastIndex(rest, "crc32c ")
	if at < 0 {
		return version, fmt.Errorf("%w: the file %s has no checksum", ErrCorruption, formatFileName)
	}
	covered := len(formatMagic) + len(line) + 1 + at
	want := fmt.Sprintf("crc32c %08x\n", crc32.Checksum(b[:covered], castagnoli))
	if string(b[covered:]) != want {
		return version, fmt.Errorf("%w: the file %s fails its checksum", ErrCorruption, formatFileName)
	}
	return version, nil
}

// dirState is what Open finds in a directory.
type dirState int

const (
	dirEmpty dirState = 1 // nothing, or an unfinished creation: a store may be made here
	dirStore dirState = 2 // a store of a format that this program reads
)

// inspectDir tells an empty directory, a store, and everything else apart. It changes nothing.
func inspectDir(dir string) (dirState, error) {
	text, err := os.ReadFile(filepath.Join(dir, formatFileName))
	if err == nil {
		if _, err := parseFormatFile(text); err != nil {
			return 0, fmt.Errorf("%s: %w", dir, err)
		}
		return dirStore, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fsError("read "+filepath.Join(dir, formatFileName), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fsError("read "+dir, err)
	}
	for _, e := range entries {
		if e.Name() == newMarkerName {
			return dirEmpty, nil
		}
	}
	for _, e := range entries {
		// The engine's own files come before RocksDB's, so they alone mean an unfinished creation.
		if n := e.Name(); !strings.HasPrefix(n, "PLEIADES.") && !keptDir(n) {
			return 0, fmt.Errorf("%w: %s has no file %s but holds %q; name an empty directory or a store", ErrNotAStore, dir, formatFileName, n)
		}
	}
	return dirEmpty, nil
}

// keptDir says whether a directory of this name may be there before the store: the file system's own, and
// the node's certificates.
func keptDir(name string) bool { return name == "lost+found" || name == "certs" }

// beginCreation marks dir as being turned into a store, and clears what an earlier, unfinished
// attempt left behind: without a format file nothing in it was ever acknowledged.
func beginCreation(dir string) error {
	marker := filepath.Join(dir, newMarkerName)
	if _, err := os.Stat(marker); err == nil {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fsError("read "+dir, err)
		}
		for _, e := range entries {
			if n := e.Name(); n != lockFileName && n != newMarkerName && !keptDir(n) {
				if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
					return fsError("clear an unfinished store", err)
				}
			}
		}
		return nil
	}
	return writeFileSynced(dir, newMarkerName, []byte("a store is being created here\n"))
}

// finishCreation writes the format file; from then on the directory is a store.
func finishCreation(dir string) error {
	if err := writeFileSynced(dir, formatFileName, appendFormatFile(nil)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, newMarkerName)); err != nil {
		return fsError("remove "+newMarkerName, err)
	}
	return syncDir(dir)
}

// writeFileSynced replaces dir/name atomically and durably.
func writeFileSynced(dir, name string, data []byte) error {
	tmp, err := os.CreateTemp(dir, name+".tmp*")
	if err != nil {
		return fsError("create "+name, err)
	}
	defer os.Remove(tmp.Name()) // fails once renamed, as it should
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fsError("write "+name, err)
	}
	return syncDir(dir)
}

// syncDir makes creations, renames and removals in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fsError("open "+dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fsError("sync "+dir, err)
	}
	return nil
}
