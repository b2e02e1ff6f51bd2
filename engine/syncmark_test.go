package engine

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSyncMarkGolden(t *testing.T) {
	const want = "504c4453594e4331" + "0102030405060708" + "0000000000000009" + "00000001"
	got := hex.EncodeToString(appendMarkSlot(nil, 0x0102030405060708, 9, markWrite))
	if !strings.HasPrefix(got, want) || len(got) != 2*markSlotBytes {
		t.Fatalf("slot %s", got)
	}
	b, _ := hex.DecodeString(got)
	seq, count, kind, ok := parseMarkSlot(b)
	if !ok || seq != 0x0102030405060708 || count != 9 || kind != markWrite {
		t.Fatalf("parsed %x %d %d %v", seq, count, kind, ok)
	}
	for i := range b {
		bad := append([]byte(nil), b...)
		bad[i] ^= 1
		if _, _, _, ok := parseMarkSlot(bad); ok {
			t.Fatalf("a slot with byte %d changed is accepted", i)
		}
		if _, _, _, ok := parseMarkSlot(b[:i]); ok {
			t.Fatalf("a slot cut at %d is accepted", i)
		}
	}
}

// TestTornMark: one spoiled slot costs one step, not the mark.
func TestTornMark(t *testing.T) {
	dir := t.TempDir()
	m, known, err := openSyncMark(dir)
	if err != nil || known {
		t.Fatalf("new mark: known %v, %v", known, err)
	}
	for seq := uint64(1); seq <= 5; seq++ {
		if err := m.set(seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, markFileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[markSlotStride+10] ^= 0xff // the slot of count 5
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	m, known, err = openSyncMark(dir)
	if err != nil || !known || m.seq != 4 {
		t.Fatalf("after a torn write: seq %d, known %v, %v", m.seq, known, err)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
}

// crashCopy writes n synced keys and returns a copy of the directory as kill -9 would leave it.
func crashCopy(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	s := mustShard(t, e, 1001)
	for i := range n {
		mustPut(t, e, s, Sync, fmt.Sprintf("key%04d", i), strings.Repeat("v", 100))
	}
	return copyDir(t, dir)
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func newestWAL(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	return logs[len(logs)-1]
}

// TestDamagedWALIsNoticed: RocksDB itself reopens each of these without a word.
func TestDamagedWALIsNoticed(t *testing.T) {
	const keys = 200
	damage := map[string]func(b []byte) []byte{
		"cut in half":       func(b []byte) []byte { return b[:len(b)/2] },
		"cut by one record": func(b []byte) []byte { return b[:len(b)-20] },
		"bit flipped":       func(b []byte) []byte { b[len(b)/3] ^= 4; return b },
		"zeroed middle":     func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+512]); return b },
		"emptied":           func(b []byte) []byte { return nil },
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			dir := crashCopy(t, keys)
			wal := newestWAL(t, dir)
			b, err := os.ReadFile(wal)
			if err != nil {
				t.Fatal(err)
			}
			before := append([]byte(nil), spoil(b)...)
			if err := os.WriteFile(wal, before, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, smallOptions())
			wantErr(t, err, ErrDataLoss)
			wantErr(t, err, ErrCorruption)
			kept, rerr := os.ReadFile(filepath.Join(dir, savedWALName, filepath.Base(wal)))
			if rerr != nil || string(kept) != string(before) {
				t.Fatalf("the damaged log was not kept: %v", rerr)
			}
			_, err = Open(dir, smallOptions())
			wantErr(t, err, ErrDataLoss) // the answer stays the same

			o := smallOptions()
			o.AcceptDataLoss = true
			e := openAt(t, dir, o)
			_, rerr = e.Shard(1001)
			if name == "emptied" {
				wantErr(t, rerr, ErrShardNotFound) // even the shard's creation stood in that log
			} else if rerr != nil {
				t.Fatal(rerr)
			}
			mustPut(t, e, mustShard(t, e, 1001), Sync, "after", "wards")
			closeClean(t, e)
			e = openAt(t, dir, nil)
			wantGet(t, mustShard(t, e, 1001), "after", "wards")
		})
	}
	t.Run("whole", func(t *testing.T) {
		dir := crashCopy(t, keys)
		e := openAt(t, dir, nil)
		s := mustShard(t, e, 1001)
		for i := range keys {
			wantGet(t, s, fmt.Sprintf("key%04d", i), strings.Repeat("v", 100))
		}
		if _, err := os.Stat(filepath.Join(dir, savedWALName)); err == nil {
			t.Fatal("the links to the logs were not removed")
		}
	})
}
