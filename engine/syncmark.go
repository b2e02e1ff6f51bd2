package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// syncMark remembers the highest sequence number that was ever acknowledged as synced, in a side
// file that is itself not synced. RocksDB reopens a truncated or damaged write-ahead log without a
// word and loses what stood behind the damage; a recovered sequence number below the mark tells.
//
// Two slots are written in turn, so that a torn write spoils one at most:
//
//	offset 0    slot 0, 32 bytes
//	offset 4096 slot 1, 32 bytes
//
//	slot: magic "PLDSYNC1"(8) | sequence(8 BE) | write count(8 BE) | zero(4) | crc32c(4 BE) of the 28 before
//
// The mark is written after the sync that it tells of, so it is never ahead of the log, and a power
// failure can only take it back. HAZARD: it does not notice the loss of what was synced after the
// mark's own last write-back.
type syncMark struct {
	f     *os.File
	count uint64
	seq   uint64
}

const (
	markMagic      = "PLDSYNC1"
	markSlotBytes  = 32
	markSlotStride = 4096
)

// appendMarkSlot appends one slot.
func appendMarkSlot(dst []byte, seq, count uint64) []byte {
	start := len(dst)
	dst = append(dst, markMagic...)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint64(dst, count)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseMarkSlot reports ok = false for a slot that was never written or was torn.
func parseMarkSlot(b []byte) (seq, count uint64, ok bool) {
	if len(b) < markSlotBytes || string(b[:8]) != markMagic {
		return 0, 0, false
	}
	if binary.BigEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), true
}

// openSyncMark opens or creates the side file. known is false when no slot is readable: a new store,
// or a mark that a power failure took with it.
func openSyncMark(dir string) (m *syncMark, known bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, markFileName), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, false, fsError("open "+markFileName, err)
	}
	m = &syncMark{f: f}
	buf := make([]byte, markSlotStride+markSlotBytes)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, false, fsError("read "+markFileName, err)
	}
	for _, at := range []int{0, markSlotStride} {
		if at >= n {
			continue
		}
		if seq, count, ok := parseMarkSlot(buf[at:n]); ok && (!known || count > m.count) {
			m.seq, m.count, known = seq, count, true
		}
	}
	return m, known, nil
}

// set records that everything up to seq is synced. Only the committer calls it.
func (m *syncMark) set(seq uint64) error {
	m.count++
	var b [markSlotBytes]byte
	slot := appendMarkSlot(b[:0], seq, m.count)
	if _, err := m.f.WriteAt(slot, int64(m.count%2)*markSlotStride); err != nil {
		return fsError("write "+markFileName, err)
	}
	m.seq = seq
	return nil
}

func (m *syncMark) close() error { return m.f.Close() }

// writeSyncMark makes a mark file for a copy of a store.
func writeSyncMark(dir string, seq uint64) error {
	return writeFileSynced(dir, markFileName, appendMarkSlot(nil, seq, 2))
}

// saveWAL links the write-ahead logs of dir into PLEIADES.wal before RocksDB replays and removes
// them, so that a recovery which turns out to lack synced writes has destroyed nothing. A file
// system without hard links goes without: the loss is noticed all the same.
func saveWAL(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		return err
	}
	saved := filepath.Join(dir, savedWALName)
	if err := os.MkdirAll(saved, 0o755); err != nil {
		return fsError("create "+savedWALName, err)
	}
	for _, log := range logs {
		// An existing link is from an opening that was cut off: it is the older, so the better copy.
		if err := os.Link(log, filepath.Join(saved, filepath.Base(log))); err != nil && !errors.Is(err, os.ErrExist) {
			return fsError("link "+log, err)
		}
	}
	return nil
}

// keepLostWAL sets the linked logs of an accepted loss aside, where later openings leave them alone.
func keepLostWAL(dir string, recovered uint64) error {
	kept := filepath.Join(dir, savedWALName+".lost-"+strconv.FormatUint(recovered, 10))
	err := os.Rename(filepath.Join(dir, savedWALName), kept)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
		return fsError("rename "+savedWALName, err)
	}
	return nil
}

// dropSavedWAL removes the links again.
func dropSavedWAL(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, savedWALName)); err != nil {
		return fsError("remove "+savedWALName, err)
	}
	return nil
}

// checkRecovered compares what RocksDB recovered with the mark.
func (m *syncMark) checkRecovered(dir string, recovered uint64) error {
	if recovered >= m.seq {
		return nil
	}
	return fmt.Errorf("%w: %d of them: %s recovered up to sequence %d, but %d was acknowledged; the logs as they were found are kept in %s; restore a copy, or open with --accept-data-loss (Options.AcceptDataLoss) to go on without them",
		ErrDataLoss, m.seq-recovered, dir, recovered, m.seq, filepath.Join(dir, savedWALName))
}
