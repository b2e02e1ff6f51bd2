package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Names of the engine's own files in a store's directory, beside RocksDB's. RocksDB ignores them.
// Part of the format; see docs/disk-layout.md.
const (
	formatFileName  = "PLEIADES"
	lockFileName    = "PLEIADES.lock"
	markFileName    = "PLEIADES.synced"
	reserveFileName = "PLEIADES.reserve"
	stagingDirName  = "PLEIADES.staging"
	savedWALName    = "PLEIADES.wal"
	newMarkerName   = "PLEIADES.new"
)

// dirLock holds a directory exclusively: an advisory flock on PLEIADES.lock, whose text is the
// holder's process id. The kernel drops it with the process, so no crash leaves a stale lock.
type dirLock struct{ f *os.File }

// lockDir takes the lock or returns ErrInUse with the holder's process id.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockFileName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fsError("open the lock file", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fsError("lock "+path, err)
		}
		return nil, fmt.Errorf("%w: %s is held by %s; stop that process or choose another directory", ErrInUse, dir, holder(f))
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fsError("write "+path, err)
	}
	return &dirLock{f: f}, nil
}

// release gives the directory up. The file stays: removing it would race with the next holder.
func (l *dirLock) release() error { return l.f.Close() }

// holder says who wrote the lock file.
func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n]))); err == nil {
		return fmt.Sprintf("pid %d", pid)
	}
	return "another process"
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		// A full disk must not forbid opening: the text is for people only.
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// fsError maps an operating-system error onto the engine's sentinels.
func fsError(op string, err error) error {
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: %s: %w", ErrPermission, op, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %s: %w; the store must be writable to be opened", ErrPermission, op, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %s: %w", ErrDiskFull, op, err)
	default:
		return fmt.Errorf("engine: %s: %w", op, err)
	}
}
