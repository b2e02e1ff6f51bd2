package faultfs

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// ErrUnavailable says that this machine can't mount the file system: no /dev/fuse, or no right to use it.
var ErrUnavailable = errors.New("faultfs: FUSE is not available")

// mount is a file system's place in the tree.
type mount struct {
	server *fuse.Server
	dir    string
}

// Mount mounts the file system on an existing directory. Unmount must follow. Where FUSE can't be used
// it returns ErrUnavailable. A file system can be mounted once.
func (f *FS) Mount(dir string) error {
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	_ = dev.Close() // it was only a question
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mounted != nil {
		return fmt.Errorf("faultfs: mounted on %s already", f.mounted.dir)
	}
	server, err := fuse.NewServer(&adapter{RawFileSystem: fuse.NewDefaultRawFileSystem(), f: f}, dir, &fuse.MountOptions{
		FsName: "faultfs", Name: "faultfs", DirectMount: true, DisableXAttrs: true, DisableReadDirPlus: true,
		MaxWrite: 1 << 20, Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		return fmt.Errorf("%w: mount on %s: %w", ErrUnavailable, dir, err)
	}
	f.mounted = &mount{server: server, dir: dir}
	go server.Serve()
	f.mu.Unlock() // the first requests need it
	err = server.WaitMount()
	f.mu.Lock()
	if err != nil {
		return fmt.Errorf("faultfs: mount on %s: %w", dir, err)
	}
	return nil
}

// Unmount lifts all rules and takes the file system from the tree, and returns when its goroutines have
// ended. Programs that still have files open on it keep it alive: it is then detached, and an error
// says so.
func (f *FS) Unmount() error {
	f.mu.Lock()
	m, faults := f.mounted, f.faults
	f.mounted = nil
	f.mu.Unlock()
	for _, fault := range append([]*Fault(nil), faults...) {
		fault.Lift()
	}
	if m == nil {
		return nil
	}
	err := m.server.Unmount()
	if err == nil {
		return nil
	}
	if derr := unix.Unmount(m.dir, unix.MNT_DETACH); derr != nil {
		return fmt.Errorf("faultfs: unmount %s: %w", m.dir, errors.Join(err, derr))
	}
	ended := make(chan struct{})
	go func() {
		m.server.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("faultfs: %s is detached, but files on it are still open: %w", m.dir, err)
	}
}

// Require skips a test, with the reason, where MountTest would: for tests whose parts are subtests, so that
// they as a whole count as skipped and not as passed.
func Require(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "faultfs-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir) // empty, or still mounted after an error that says so
	f := New(nil)
	switch err := f.Mount(dir); {
	case errors.Is(err, ErrUnavailable):
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	if err := f.Unmount(); err != nil {
		t.Fatal(err)
	}
}

// MountTest makes a file system and mounts it on a directory of its own for the length of a test. The
// test is skipped, with the reason, where FUSE is not available. Whoever has files open on it must be
// gone when the test ends; cleanups that were registered later run before the unmounting.
func MountTest(t testing.TB, opts *Options) (f *FS, dir string) {
	t.Helper()
	f = New(opts)
	dir, err := os.MkdirTemp("", "faultfs-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Not RemoveAll: should the mount have survived, its contents stay.
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("faultfs: the mount point is left: %v", err)
		}
	})
	switch err := f.Mount(dir); {
	case errors.Is(err, ErrUnavailable):
		t.Skipf("SKIPPED, nothing was tested: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return f, dir
}
