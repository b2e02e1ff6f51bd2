package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenOnAFullDisk: a store whose logs do not fit into tables beside them opens and can be read.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "size=64m")
	o := smallOptions()
	o.MemtableBytes, o.ShardMemtableBytes, o.MaxWALBytes = 64<<20, 64<<20, 64<<20
	store := filepath.Join(dir, "store")
	e := openAt(t, store, o)
	s := mustShard(t, e, 1001)
	value := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(value) // does not compress
	for i := range 24 {
		mustPut(t, e, s, NoSync, fmt.Sprint(i), string(value))
	}
	closeClean(t, e)
	hog, err := os.Create(filepath.Join(dir, "hog"))
	if err != nil {
		t.Fatal(err)
	}
	defer hog.Close()
	free, _, err := diskSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(hog.Fd()), 0, 0, int64(free-4<<20)); err != nil {
		t.Fatal(err)
	}
	for _, full := range []bool{true, true, false} {
		if !full {
			if err := hog.Truncate(0); err != nil {
				t.Fatal(err)
			}
		}
		e = openAt(t, store, o)
		s = mustShard(t, e, 1001)
		for i := range 24 {
			wantGet(t, s, fmt.Sprint(i), string(value))
		}
		if !full {
			mustPut(t, e, s, Sync, "k", "v")
		}
		closeClean(t, e)
	}
}
