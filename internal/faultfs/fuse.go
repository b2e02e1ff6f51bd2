package faultfs

import (
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// adapter turns the kernel's requests into operations.
type adapter struct {
	fuse.RawFileSystem
	f *FS
}

var _ fuse.RawFileSystem = (*adapter)(nil)

// cacheFor: all changes come through this mount, so the kernel may believe what it knows.
const cacheFor = time.Hour

func (a *adapter) String() string { return "faultfs" }

// node returns the inode that the kernel means, and nil for one that it must have forgotten.
func (f *FS) node(id uint64) *inode { return f.nodes[id] }

// on runs do on an inode, behind begin.
func (a *adapter) on(cancel <-chan struct{}, op Op, id uint64, do func(i *inode) syscall.Errno) fuse.Status {
	return a.at(cancel, op, id, "", do)
}

// at is on for a name in a directory: the path in rules is then the name's.
func (a *adapter) at(cancel <-chan struct{}, op Op, id uint64, name string, do func(i *inode) syscall.Errno) fuse.Status {
	f := a.f
	err := f.begin(cancel, op, func() string {
		i := f.node(id)
		if i == nil {
			return "."
		}
		return joined(i, name)()
	})
	if err != 0 {
		return fuse.Status(err)
	}
	defer f.mu.Unlock()
	i := f.node(id)
	if i == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return fuse.Status(do(i))
}

// refer tells the kernel of an inode and counts its reference. FS.mu is held.
func (f *FS) refer(i *inode, out *fuse.EntryOut) {
	i.lookups++
	f.nodes[i.id] = i
	out.NodeId, out.Generation = i.id, 1
	out.SetEntryTimeout(cacheFor)
	out.SetAttrTimeout(cacheFor)
	i.attr(&out.Attr)
}

func (i *inode) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = i.id, i.mode, i.links
	out.Uid, out.Gid = i.uid, i.gid
	out.Blksize = pageBytes
	out.SetTimes(&i.mtime, &i.mtime, &i.mtime)
	switch {
	case i.live != nil:
		out.Size, out.Blocks = uint64(i.live.size), uint64(i.space()/512)
	case i.isDir():
		out.Size = pageBytes
	default:
		out.Size = uint64(len(i.target))
	}
}

func (a *adapter) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return a.at(cancel, OpStat, h.NodeId, name, func(dir *inode) syscall.Errno {
		i, err := a.f.child(dir, name)
		if err == 0 {
			a.f.refer(i, out)
		}
		return err
	})
}

func (a *adapter) Forget(id, n uint64) {
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	if i := a.f.nodes[id]; i != nil && i != a.f.root {
		if i.lookups -= min(n, i.lookups); i.lookups == 0 {
			delete(a.f.nodes, id)
		}
	}
}

func (a *adapter) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return a.on(cancel, OpStat, in.NodeId, func(i *inode) syscall.Errno {
		i.attr(&out.Attr)
		out.SetTimeout(cacheFor)
		return 0
	})
}

func (a *adapter) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	op := OpSetAttr
	size, resize := in.GetSize()
	if resize {
		op = OpTruncate
	}
	return a.on(cancel, op, in.NodeId, func(i *inode) syscall.Errno {
		if resize {
			if err := a.f.truncate(i, int64(size)); err != 0 {
				return err
			}
		}
		if mode, ok := in.GetMode(); ok {
			i.mode = i.mode&syscall.S_IFMT | mode
		}
		if uid, ok := in.GetUID(); ok {
			i.uid = uid
		}
		if gid, ok := in.GetGID(); ok {
			i.gid = gid
		}
		if t, ok := in.GetMTime(); ok {
			i.mtime = t
		}
		i.attr(&out.Attr)
		out.SetTimeout(cacheFor)
		return 0
	})
}

func (a *adapter) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if in.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fuse.EPERM
	}
	return a.create(cancel, OpCreate, &in.InHeader, name, in.Mode, out)
}

func (a *adapter) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return a.create(cancel, OpMkdir, &in.InHeader, name, in.Mode&0o7777|syscall.S_IFDIR, out)
}

func (a *adapter) create(cancel <-chan struct{}, op Op, h *fuse.InHeader, name string, mode uint32, out *fuse.EntryOut) fuse.Status {
	return a.at(cancel, op, h.NodeId, name, func(dir *inode) syscall.Errno {
		i, err := a.f.make(dir, name, mode)
		if err == 0 {
			i.uid, i.gid = h.Uid, h.Gid
			a.f.refer(i, out)
		}
		return err
	})
}

func (a *adapter) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	st := a.create(cancel, OpCreate, &in.InHeader, name, in.Mode&0o7777|syscall.S_IFREG, &out.EntryOut)
	if st.Ok() {
		a.f.mu.Lock()
		a.f.nodes[out.NodeId].opens++
		a.f.mu.Unlock()
	}
	return st
}

func (a *adapter) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	st := a.create(cancel, OpSymlink, h, name, syscall.S_IFLNK|0o777, out)
	if st.Ok() {
		a.f.mu.Lock()
		i := a.f.nodes[out.NodeId]
		i.target = target
		i.attr(&out.Attr)
		a.f.mu.Unlock()
	}
	return st
}

func (a *adapter) Readlink(cancel <-chan struct{}, h *fuse.InHeader) (target []byte, st fuse.Status) {
	st = a.on(cancel, OpRead, h.NodeId, func(i *inode) syscall.Errno {
		target = []byte(i.target)
		return 0
	})
	return target, st
}

func (a *adapter) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return a.at(cancel, OpUnlink, h.NodeId, name, func(dir *inode) syscall.Errno { return a.f.remove(dir, name, false) })
}

func (a *adapter) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return a.at(cancel, OpRmdir, h.NodeId, name, func(dir *inode) syscall.Errno { return a.f.remove(dir, name, true) })
}

func (a *adapter) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	return a.at(cancel, OpRename, in.NodeId, oldName, func(from *inode) syscall.Errno {
		to := a.f.node(in.Newdir)
		if to == nil {
			return syscall.ESTALE
		}
		return a.f.move(from, oldName, to, newName, in.Flags)
	})
}

func (a *adapter) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return a.at(cancel, OpLink, in.NodeId, name, func(dir *inode) syscall.Errno {
		i := a.f.node(in.Oldnodeid)
		if i == nil {
			return syscall.ESTALE
		}
		err := a.f.link(dir, name, i)
		if err == 0 {
			a.f.refer(i, out)
		}
		return err
	})
}

func (a *adapter) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return a.on(cancel, OpOpen, in.NodeId, func(i *inode) syscall.Errno {
		i.opens++
		return 0
	})
}

func (a *adapter) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	if i := a.f.node(in.NodeId); i != nil {
		a.f.release(i)
	}
}

func (a *adapter) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (res fuse.ReadResult, st fuse.Status) {
	st = a.on(cancel, OpRead, in.NodeId, func(i *inode) syscall.Errno {
		if i.live == nil {
			return syscall.EINVAL
		}
		res = fuse.ReadResultData(buf[:i.live.readAt(buf, int64(in.Offset))])
		return 0
	})
	return res, st
}

func (a *adapter) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (n uint32, st fuse.Status) {
	st = a.on(cancel, OpWrite, in.NodeId, func(i *inode) syscall.Errno {
		done, err := a.f.write(i, data, int64(in.Offset))
		n = uint32(done)
		return err
	})
	return n, st
}

func (a *adapter) Writev(cancel <-chan struct{}, in *fuse.WriteIn, parts [][]byte) (uint32, fuse.Status) {
	data := make([]byte, 0, in.Size)
	for _, part := range parts {
		data = append(data, part...)
	}
	return a.Write(cancel, in, data)
}

func (a *adapter) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return a.on(cancel, OpAllocate, in.NodeId, func(i *inode) syscall.Errno {
		return a.f.allocate(i, int64(in.Offset), int64(in.Length), in.Mode)
	})
}

func (a *adapter) Flush(_ <-chan struct{}, _ *fuse.FlushIn) fuse.Status { return fuse.OK }

func (a *adapter) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	const dataOnly = 1
	op := OpSync
	if in.FsyncFlags&dataOnly != 0 {
		op = OpDataSync
	}
	return a.on(cancel, op, in.NodeId, func(i *inode) syscall.Errno {
		a.f.sync(i)
		return 0
	})
}

func (a *adapter) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return a.on(cancel, OpDirSync, in.NodeId, func(i *inode) syscall.Errno {
		a.f.sync(i)
		return 0
	})
}

func (a *adapter) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return a.on(cancel, OpOpen, in.NodeId, func(i *inode) syscall.Errno {
		if !i.isDir() {
			return syscall.ENOTDIR
		}
		a.f.lastDir++
		out.Fh = a.f.lastDir
		return 0
	})
}

// ReadDir lists what the directory held when its reading began, however it changes meanwhile.
func (a *adapter) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return a.on(cancel, OpReadDir, in.NodeId, func(i *inode) syscall.Errno {
		list := a.f.lists[in.Fh]
		if in.Offset == 0 {
			list = []fuse.DirEntry{{Name: ".", Mode: syscall.S_IFDIR, Ino: i.id}, {Name: "..", Mode: syscall.S_IFDIR}}
			for _, name := range i.entries() {
				list = append(list, fuse.DirEntry{Name: name, Mode: i.names[name].mode, Ino: i.names[name].id})
			}
			a.f.lists[in.Fh] = list
		}
		for k := in.Offset; k < uint64(len(list)); k++ {
			if !out.AddDirEntry(list[k]) {
				break
			}
		}
		return 0
	})
}

func (a *adapter) ReleaseDir(in *fuse.ReleaseIn) {
	a.f.mu.Lock()
	defer a.f.mu.Unlock()
	delete(a.f.lists, in.Fh)
}

func (a *adapter) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return a.on(cancel, OpStat, in.NodeId, func(*inode) syscall.Errno {
		free := uint64(max(a.f.capacity-a.f.used, 0) / pageBytes)
		out.Bsize, out.Frsize, out.NameLen = pageBytes, pageBytes, 255
		out.Blocks = uint64(max(a.f.capacity, a.f.used) / pageBytes)
		out.Bfree, out.Bavail = free, free
		out.Files, out.Ffree = 1<<20, 1<<20
		return 0
	})
}
