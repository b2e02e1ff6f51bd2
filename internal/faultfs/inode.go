package faultfs

import (
	"path"
	"syscall"
	"time"
)

// inode is a file, a directory or a symbolic link. Guarded by FS.mu.
type inode struct {
	id    uint64
	mode  uint32 // type and permissions, as in stat
	uid   uint32
	gid   uint32
	links uint32
	mtime time.Time

	// A file's contents: as programs see them, as they are on the disk, and the changes between.
	live    *content
	durable *content
	pending []dataOp
	// reserved is up to where fallocate has taken space; charged is what the file counts for in FS.used.
	reserved int64
	charged  int64
	opens    int

	target string // of a symbolic link

	// A directory's names: as programs see them, and as they are on the disk. What lies between is in
	// FS.dirOps.
	names        map[string]*inode
	durableNames map[string]*inode

	// parent and name are where the inode was last linked: for paths in rules and messages.
	parent *inode
	name   string

	lookups uint64 // references of the kernel
}

func (f *FS) newInode(mode uint32) *inode {
	f.lastID++
	i := &inode{id: f.lastID, mode: mode, mtime: time.Now(), links: 1}
	switch mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		i.links = 2
		i.names, i.durableNames = map[string]*inode{}, map[string]*inode{}
	case syscall.S_IFREG:
		i.live, i.durable = &content{}, &content{}
	}
	return i
}

func (i *inode) isDir() bool { return i.names != nil }

func (i *inode) touch() { i.mtime = time.Now() }

// path is relative to the root, "." for the root itself.
func (i *inode) path() string {
	if i.parent == nil {
		return "."
	}
	return path.Join(i.parent.path(), i.name)
}

// space is what the file takes on the disk.
func (i *inode) space() int64 {
	if i.live == nil {
		return 0
	}
	return max(i.live.allocated(), roundUp(i.reserved))
}

func roundUp(n int64) int64 { return (n + pageBytes - 1) / pageBytes * pageBytes }

// recharge brings FS.used up to date with a file that has changed or gone.
func (f *FS) recharge(i *inode) {
	now := i.space()
	if i.links == 0 && i.opens == 0 {
		now = 0
	}
	f.used += now - i.charged
	i.charged = now
}
