package faultfs

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Options configures a file system. A nil *Options is all defaults.
type Options struct {
	// Image is what the file system holds at first, all of it durable. Default: nothing.
	Image *Image
	// Capacity is the size of the disk in bytes. Default 1 TiB.
	Capacity int64
	// Observe is called before each operation that changes or syncs something, in their one order and
	// before it takes effect. The operation and the whole file system wait for it. It may call the
	// moment's methods, but none of the file system's.
	Observe func(*Moment)
}

// defaultCapacity is far beyond what a test writes: the contents are in memory.
const defaultCapacity = 1 << 40

// FS is a file system in memory that knows which of its contents a crash would spare. All methods are
// safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	observe func(*Moment)
	root    *inode
	lastID  uint64
	dirOps  []dirOp // pending changes of names, oldest first
	faults  []*Fault

	capacity int64
	used     int64

	counts  Counts
	crashAt int // the sync point at which to crash; 0 for none
	crashed chan struct{}
	down    bool // crashed is closed

	// What the kernel refers to: see fuse.go.
	nodes   map[uint64]*inode
	lists   map[uint64][]fuse.DirEntry
	lastDir uint64
	mounted *mount
}

// Counts is what a file system has been asked for.
type Counts struct {
	// Syncs, DataSyncs and DirSyncs count fsync of files, fdatasync of files and either of directories.
	Syncs, DataSyncs, DirSyncs int
	// Writes and WrittenBytes count what was written to files.
	Writes       int
	WrittenBytes int64
	// Changes counts changes of names.
	Changes int
	// Refused counts operations that failed by a rule, a full disk or after a crash.
	Refused int
}

// SyncPoints is how many syncs of any kind there were; they are numbered from 1 in their order.
func (c Counts) SyncPoints() int { return c.Syncs + c.DataSyncs + c.DirSyncs }

// New returns a file system that is not mounted yet.
func New(opts *Options) *FS {
	var o Options
	if opts != nil {
		o = *opts
	}
	f := &FS{
		observe: o.Observe, capacity: o.Capacity, crashed: make(chan struct{}),
		nodes: map[uint64]*inode{}, lists: map[uint64][]fuse.DirEntry{},
	}
	if f.capacity <= 0 {
		f.capacity = defaultCapacity
	}
	f.root = f.newInode(syscall.S_IFDIR | 0o755)
	f.nodes[f.root.id] = f.root
	if o.Image != nil {
		f.load(o.Image)
	}
	return f
}

// Moment is an operation that is about to happen, seen by Options.Observe. It is valid during that call.
type Moment struct {
	f *FS
	// Op is the operation, Path its path from the root.
	Op   Op
	Path string
	// Sync is the number of the sync point, 0 when the operation is no sync.
	Sync int
}

// Image returns what a crash right before the operation would leave.
func (m *Moment) Image(loss Loss) *Image { return m.f.image(loss) }

// ReadFile returns the contents of a file as programs see them, synced or not; nil without such a file.
func (m *Moment) ReadFile(name string) []byte { return m.f.readFile(name) }

// FileSize returns the size of a file as programs see it; 0 without such a file.
func (m *Moment) FileSize(name string) int64 {
	if i := m.f.find(name); i != nil && i.live != nil {
		return i.live.size
	}
	return 0
}

// Image returns what a crash at this moment would leave.
func (f *FS) Image(loss Loss) *Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.image(loss)
}

// ReadFile returns the contents of a file as programs see them, synced or not.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.readFile(name); b != nil {
		return b, nil
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

// find returns the inode at a path from the root.
func (f *FS) find(name string) *inode {
	i := f.root
	for _, part := range strings.Split(name, "/") {
		if i = i.names[part]; i == nil {
			return nil
		}
	}
	return i
}

func (f *FS) readFile(name string) []byte {
	i := f.find(name)
	if i == nil || i.live == nil {
		return nil
	}
	return i.live.bytes()
}

// Counts returns what the file system has been asked for until now.
func (f *FS) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// Crash stops the file system: from now on every operation returns EIO and changes nothing. What a
// crash at this moment leaves is asked for by Image, before or after.
func (f *FS) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crash()
}

func (f *FS) crash() {
	if !f.down {
		f.down = true
		close(f.crashed)
	}
}

// CrashAtSync makes the file system crash at sync point n, before it takes effect; 0 takes that back.
func (f *FS) CrashAtSync(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashAt = n
}

// Crashed returns a channel that closes when the file system has crashed.
func (f *FS) Crashed() <-chan struct{} { return f.crashed }

// SetCapacity changes the size of the disk. Less than what is used makes it full.
func (f *FS) SetCapacity(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = bytes
}

// Used returns the bytes that files take, and the size of the disk.
func (f *FS) Used() (used, capacity int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used, f.capacity
}

// begin admits an operation. On success FS.mu is held; on failure it is not. cancel closes when the
// calling process was killed.
func (f *FS) begin(cancel <-chan struct{}, op Op, name func() string) syscall.Errno {
	f.mu.Lock()
	if err := f.admit(cancel, op, name); err != 0 {
		f.counts.Refused++
		f.mu.Unlock()
		return err
	}
	return 0
}

func (f *FS) admit(cancel <-chan struct{}, op Op, name func() string) syscall.Errno {
	if f.down {
		return syscall.EIO
	}
	at := ""
	if len(f.faults) > 0 || f.observe != nil {
		at = name()
	}
	for _, fault := range f.faults {
		if !fault.fire(op, at) {
			continue
		}
		if fault.rule.Err != 0 {
			return fault.rule.Err
		}
		f.mu.Unlock()
		var err syscall.Errno
		select {
		case <-fault.lifted:
		case <-f.crashed:
		case <-cancel:
			err = syscall.EINTR
		}
		f.mu.Lock()
		if f.down {
			err = syscall.EIO
		}
		if err != 0 {
			return err
		}
		break
	}
	point := 0
	switch op {
	case OpSync:
		f.counts.Syncs++
	case OpDataSync:
		f.counts.DataSyncs++
	case OpDirSync:
		f.counts.DirSyncs++
	case OpWrite:
		f.counts.Writes++
	default:
		if op&OpChange != 0 {
			f.counts.Changes++
		}
	}
	if op&OpAnySync != 0 {
		point = f.counts.SyncPoints()
	}
	if f.observe != nil && op&(OpChange|OpAnySync) != 0 {
		f.observe(&Moment{f: f, Op: op, Path: at, Sync: point})
	}
	if point > 0 && point == f.crashAt {
		f.crash()
		return syscall.EIO
	}
	return 0
}

// String names the file system in mount tables.
func (f *FS) String() string {
	used, capacity := f.Used()
	return fmt.Sprintf("faultfs, %d of %d bytes used", used, capacity)
}
