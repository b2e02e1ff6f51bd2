package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// diskGuard refuses writes before the disk is full, because RocksDB needs room to compact and does
// not recover well from a write that met a full disk. Service resumes by itself when space returns.
// A reserve file is given up when others fill the disk all the same.
type diskGuard struct {
	dir      string
	percent  uint64
	minFree  uint64
	reserve  int64
	nextLook atomic.Int64 // monotonic nanoseconds since start
	start    time.Time
	full     atomic.Pointer[error] // nil while there is room
	bare     atomic.Bool           // there is not even room for a write that frees some
	refused  atomic.Uint64
}

// diskLookEvery is how long an answer of statfs is believed.
const diskLookEvery = 100 * time.Millisecond

func newDiskGuard(dir string, o *Options) *diskGuard {
	return &diskGuard{
		dir: dir, percent: uint64(o.DiskFullPercent), minFree: uint64(o.DiskFullFreeBytes),
		reserve: max(o.ReserveBytes, 0), start: time.Now(),
	}
}

// bareBytes is how little room a write that frees space must find. With less it would fail in the log,
// which stops the engine; refused, it can be tried again.
const bareBytes = 1 << 20

// refresh asks the file system again if its last answer is old.
func (g *diskGuard) refresh() {
	if now := int64(time.Since(g.start)); now >= g.nextLook.Load() {
		g.nextLook.Store(now + int64(diskLookEvery))
		g.look()
	}
}

// check returns ErrDiskFull while writes are refused, as of the last refresh. A write that frees space
// is let through as long as there is room for itself.
func (g *diskGuard) check(reclaim bool) error {
	if p := g.full.Load(); p != nil && (!reclaim || g.bare.Load()) {
		g.refused.Add(1)
		return *p
	}
	return nil
}

// look asks the file system.
func (g *diskGuard) look() {
	free, total, err := diskSpace(g.dir)
	if err != nil {
		return // the write itself will tell
	}
	used := total - min(free, total)
	if total == 0 || used*100 < total*g.percent || free >= g.minFree {
		g.full.Store(nil)
		g.ensureReserve(free)
		return
	}
	full := fmt.Errorf("%w: %s is used to %d %% with %d MiB free; delete files, vacuum, or move the store (writes resume by themselves; the limits are DiskFullPercent and DiskFullFreeBytes)",
		ErrDiskFull, g.dir, used*100/total, free>>20)
	g.full.Store(&full)
	if free < uint64(g.reserve) && g.giveReserve() {
		free += uint64(g.reserve)
	}
	g.bare.Store(free < bareBytes)
}

// ensureReserve allocates the reserve file when there is plenty of room for it.
func (g *diskGuard) ensureReserve(free uint64) {
	path := filepath.Join(g.dir, reserveFileName)
	if g.reserve == 0 || free < 4*uint64(g.reserve) {
		return
	}
	if st, err := os.Stat(path); err == nil && st.Size() == g.reserve {
		return
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	// Best effort: a file system without fallocate (or without room) has no reserve.
	if err := unix.Fallocate(int(f.Fd()), 0, 0, g.reserve); err != nil {
		os.Remove(path)
	}
}

// giveReserve frees the reserve for the writes that make room, and reports whether there was one.
func (g *diskGuard) giveReserve() bool {
	return os.Remove(filepath.Join(g.dir, reserveFileName)) == nil
}

// diskSpace returns what an ordinary user may still write, and that plus what is in use, in bytes.
func diskSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fsError("statfs "+dir, err)
	}
	size := uint64(st.Bsize)
	return st.Bavail * size, (st.Blocks - st.Bfree + st.Bavail) * size, nil
}
