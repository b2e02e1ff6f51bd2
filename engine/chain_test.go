package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The log's format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB, records of
// checksum(4 LE) | size(2 LE) | type(1) | contents; a record that does not fit goes on in the next block.
const (
	logBlockBytes  = 32 << 10
	logHeaderBytes = 7
	logFull        = 1
	logFirst       = 2
	logMiddle      = 3
	logLast        = 4
)

// readLog returns the contents of a log's records.
func readLog(t *testing.T, path string) (records [][]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var part []byte
	for len(b) > 0 {
		block := b[:min(len(b), logBlockBytes)]
		b = b[len(block):]
		for len(block) >= logHeaderBytes {
			n, typ := int(binary.LittleEndian.Uint16(block[4:])), block[6]
			if typ == 0 && n == 0 {
				break
			}
			part = append(part, block[logHeaderBytes:logHeaderBytes+n]...)
			block = block[logHeaderBytes+n:]
			if typ == logFull || typ == logLast {
				records = append(records, part)
				part = nil
			}
		}
	}
	return records
}

// writeLog writes a log of these records.
func writeLog(t *testing.T, path string, records [][]byte) {
	t.Helper()
	var b []byte
	for _, r := range records {
		for typ := byte(logFirst); ; typ = logMiddle {
			left := logBlockBytes - len(b)%logBlockBytes
			if left < logHeaderBytes {
				b = append(b, make([]byte, left)...)
				left = logBlockBytes
			}
			part := r[:min(len(r), left-logHeaderBytes)]
			r = r[len(part):]
			switch {
			case len(r) == 0 && typ == logFirst:
				typ = logFull
			case len(r) == 0:
				typ = logLast
			}
			sum := crc32.Update(crc32.Checksum([]byte{typ}, castagnoli), castagnoli, part)
			b = binary.LittleEndian.AppendUint32(b, (sum>>15|sum<<17)+0xa282ead8)
			b = binary.LittleEndian.AppendUint16(b, uint16(len(part)))
			b = append(append(b, typ), part...)
			if len(r) == 0 {
				break
			}
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pageStore returns a store, as kill -9 leaves it, whose newest log holds n synced writes (key0000 and so
// on) that fill a page of 4 KiB each, eight to a block. filler rows of another shard come before.
func pageStore(t *testing.T, n, unsynced int) string {
	t.Helper()
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	s := mustShard(t, e, 1001)
	wal := newestWAL(t, dir)
	put := func(key string, bytes int, mode CommitMode) {
		t.Helper()
		before := fileSize(t, wal)
		b := e.NewBatch()
		defer b.Close()
		if err := b.Put(s, []byte(key), make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
		if err := e.Commit(context.Background(), b, mode); err != nil {
			t.Fatal(err)
		}
		if key != "fill" && fileSize(t, wal)-before != 4096 {
			t.Fatalf("%s took %d bytes of the log, want a page", key, fileSize(t, wal)-before)
		}
	}
	// header 7 | sequence and count 12 | link 11 | type, family, key and its length | length of the value
	const page = 4096 - 7 - 12 - 11 - (1 + 1 + 1 + 7) - 2
	fill := 4096 - int(fileSize(t, wal)) - (4096 - page) + 3 // the key is shorter by three bytes
	if fill < 128 {
		t.Fatalf("the log begins with %d bytes", fileSize(t, wal))
	}
	put("fill", fill, Sync)
	if size := fileSize(t, wal); size != 4096 {
		t.Fatalf("the log begins with %d bytes, want a page", size)
	}
	for i := range n {
		put(fmt.Sprintf("key%04d", i), page, Sync)
	}
	for i := range unsynced {
		put(fmt.Sprintf("uns%04d", i), page, NoSync)
	}
	return copyDir(t, dir)
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// wantPrefix checks that the keys of pageStore up to n are there, and none behind.
func wantPrefix(t *testing.T, s *Shard, prefix string, n, all int) {
	t.Helper()
	for i := range all {
		key := fmt.Sprintf("%s%04d", prefix, i)
		has, err := s.Has([]byte(key), nil)
		if err != nil || has != (i < n) {
			t.Fatalf("%s: %v, %v; want the first %d", key, has, err, n)
		}
	}
}

// TestHoleInTheLog: RocksDB itself opens each of these without a word, and has the writes behind the hole.
func TestHoleInTheLog(t *testing.T) {
	const keys = 30
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, wal string)
		left  int // how many of the keys
	}{
		{"a page at a block's end", func(t *testing.T, wal string) { zero(t, wal, 15, 1) }, 14},
		{"the rest of a block", func(t *testing.T, wal string) { zero(t, wal, 12, 4) }, 11},
		{"blocks", func(t *testing.T, wal string) { zero(t, wal, 8, 16) }, 7},
		{"one record removed", func(t *testing.T, wal string) {
			records := readLog(t, wal)
			writeLog(t, wal, slices.Delete(records, len(records)-10, len(records)-9))
		}, 20},
		{"all but the end removed", func(t *testing.T, wal string) {
			records := readLog(t, wal)
			writeLog(t, wal, slices.Delete(records, len(records)-keys, len(records)-1))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := pageStore(t, keys, 0)
			wal := newestWAL(t, dir)
			c.spoil(t, wal)
			damaged, err := os.ReadFile(wal)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the answer stays the same
				_, err = Open(dir, smallOptions())
				wantErr(t, err, ErrDataLoss)
				wantErr(t, err, ErrCorruption)
				if want := fmt.Sprintf("missing: %d of them", keys-c.left); !strings.Contains(err.Error(), want) {
					t.Fatalf("%v, want %q", err, want)
				}
			}
			kept, err := os.ReadFile(filepath.Join(dir, savedWALName, filepath.Base(wal)))
			if err != nil || !bytes.Equal(kept, damaged) {
				t.Fatalf("the damaged log was not kept: %v", err)
			}
			o := smallOptions()
			o.AcceptDataLoss = true
			e := openAt(t, dir, o)
			wantPrefix(t, mustShard(t, e, 1001), "key", c.left, keys)
			mustPut(t, e, mustShard(t, e, 1001), Sync, "after", "wards")
			dir = copyDir(t, dir) // as kill -9 leaves it: the new writes are in the log
			e = openAt(t, dir, nil)
			wantPrefix(t, mustShard(t, e, 1001), "key", c.left, keys)
			wantGet(t, mustShard(t, e, 1001), "after", "wards")
		})
	}
}

// zero clears pages of a file.
func zero(t *testing.T, path string, page, n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[page*4096 : (page+n)*4096])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHoleAtTheBeginning: what the first record that is left follows was in the hole.
func TestHoleAtTheBeginning(t *testing.T) {
	dir := pageStore(t, 30, 0)
	zero(t, newestWAL(t, dir), 0, 8)
	_, err := Open(dir, smallOptions())
	wantErr(t, err, ErrDataLoss)
}

// TestHoleInUnsyncedWrites: a power failure leaves such a hole. What is behind it is left out, and the
// store opens with a prefix.
func TestHoleInUnsyncedWrites(t *testing.T) {
	dir := pageStore(t, 6, 20)
	zero(t, newestWAL(t, dir), 15, 1) // the fill, 6 synced, 8 unsynced before it
	e := openAt(t, dir, nil)
	s := mustShard(t, e, 1001)
	wantPrefix(t, s, "key", 6, 6)
	wantPrefix(t, s, "uns", 8, 20)
	mustPut(t, e, s, Sync, "after", "wards")
	e = openAt(t, copyDir(t, dir), nil)
	s = mustShard(t, e, 1001)
	wantPrefix(t, s, "uns", 8, 20)
	wantGet(t, s, "after", "wards")
}

// TestLossBehindAFlush: a flush writes into the manifest how far the store has come, although another
// shard's writes before that are in the log alone. RocksDB's number then does not tell that they are gone.
func TestLossBehindAFlush(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	a, b := mustShard(t, e, 1001), mustShard(t, e, 1002)
	for i := range 100 {
		mustPut(t, e, b, Sync, fmt.Sprintf("key%04d", i), strings.Repeat("v", 100))
	}
	mustPut(t, e, a, Sync, "key", "value")
	flush(t, a)
	dir = copyDir(t, dir)
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) < 2 {
		t.Fatalf("logs %v, %v; want the flushed one as well", logs, err)
	}
	records := readLog(t, logs[0])
	writeLog(t, logs[0], records[:len(records)/2])
	for range 2 {
		_, err = Open(dir, smallOptions())
		wantErr(t, err, ErrDataLoss)
	}
}

// TestChainAcrossIngestAndImport: they consume sequence numbers, and no write is missing for that.
func TestChainAcrossIngestAndImport(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	s := mustShard(t, e, 1001)
	for round := range 4 {
		mustPut(t, e, s, Sync, fmt.Sprintf("key%d", round), "old")
		before := e.db.GetLatestSequenceNumber()
		path := filepath.Join(t.TempDir(), "table")
		w, err := e.NewSSTWriter(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Put(fmt.Appendf(nil, "key%d", round), []byte("new")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ingest(context.Background(), []string{path}, &IngestOptions{Overwrite: true}); err != nil {
			t.Fatal(err)
		}
		if e.db.GetLatestSequenceNumber() == before {
			t.Fatal("the ingest has consumed no sequence number: this test shows nothing")
		}
		mustPut(t, e, s, Sync, fmt.Sprintf("other%d", round), "value")
		if _, err := e.CloneShard(context.Background(), s, 1002+ShardID(round)); err != nil {
			t.Fatal(err)
		}
		mustPut(t, e, s, Sync, fmt.Sprintf("more%d", round), "value")
		closeClean(t, e) // what the memtables hold stays in the logs
		e = openAt(t, dir, nil)
		s = mustShard(t, e, 1001)
		for r := range round + 1 {
			wantGet(t, s, fmt.Sprintf("key%d", r), "new")
			wantGet(t, s, fmt.Sprintf("other%d", r), "value")
			wantGet(t, s, fmt.Sprintf("more%d", r), "value")
		}
	}
}
