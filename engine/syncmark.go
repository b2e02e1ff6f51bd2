package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

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
//	slot: magic "PLDSYNC1"(8) | sequence(8 BE) | write count(8 BE) | kind(4 BE) | crc32c(4 BE) of the 28 before
//
// Kind 1 says that the sequence number is a write's own, so that it can be compared with the last write
// in the logs. Programs without chained writes (chain.go) wrote kind 0, whose sequence number may also
// count what ingesting and importing tables consumed, which is in no log.
//
// The mark is written after the sync that it tells of, so it is never ahead of the log, and a power
// failure can only take it back. HAZARD: it does not notice the loss of what was synced after the
// mark's own last write-back.
type syncMark struct {
	f     *os.File
	count uint64
	seq   uint64
	kind  uint32
}

const (
	markMagic      = "PLDSYNC1"
	markSlotBytes  = 32
	markSlotStride = 4096

	// Part of the format; never renumber.
	markAny   = 0
	markWrite = 1
)

// appendMarkSlot appends one slot.
func appendMarkSlot(dst []byte, seq, count uint64, kind uint32) []byte {
	start := len(dst)
	dst = append(dst, markMagic...)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint64(dst, count)
	dst = binary.BigEndian.AppendUint32(dst, kind)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseMarkSlot reports ok = false for a slot that was never written or was torn.
func parseMarkSlot(b []byte) (seq, count uint64, kind uint32, ok bool) {
	if len(b) < markSlotBytes || string(b[:8]) != markMagic {
		return 0, 0, 0, false
	}
	if binary.BigEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint32(b[24:]), true
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
		if seq, count, kind, ok := parseMarkSlot(buf[at:n]); ok && (!known || count > m.count) {
			m.seq, m.count, m.kind, known = seq, count, kind, true
		}
	}
	return m, known, nil
}

// set records that everything up to seq, a write's last sequence number, is synced. Only the committer
// calls it, and opening and closing.
func (m *syncMark) set(seq uint64) error {
	m.count++
	var b [markSlotBytes]byte
	slot := appendMarkSlot(b[:0], seq, m.count, markWrite)
	if _, err := m.f.WriteAt(slot, int64(m.count%2)*markSlotStride); err != nil {
		return fsError("write "+markFileName, err)
	}
	m.seq, m.kind = seq, markWrite
	return nil
}

func (m *syncMark) close() error { return m.f.Close() }

// writeSyncMark makes a mark file for a copy of a store.
func writeSyncMark(dir string, seq uint64) error {
	return writeFileSynced(dir, markFileName, appendMarkSlot(nil, seq, 2, markAny))
}
