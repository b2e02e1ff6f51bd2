package faultfs

import (
	"maps"
	"path"
	"syscall"
)

// The operations behind the kernel's requests. Each runs with FS.mu held, behind begin, and returns an
// errno as the system call would. They know nothing of FUSE, so the model test runs without a mount.

// child returns the inode that dir's name means.
func (f *FS) child(dir *inode, name string) (*inode, syscall.Errno) {
	if !dir.isDir() {
		return nil, syscall.ENOTDIR
	}
	if i := dir.names[name]; i != nil {
		return i, 0
	}
	return nil, syscall.ENOENT
}

// make adds a new inode to a directory.
func (f *FS) make(dir *inode, name string, mode uint32) (*inode, syscall.Errno) {
	if _, err := f.child(dir, name); err != syscall.ENOENT {
		return nil, orExist(err)
	}
	if dir.links == 0 {
		return nil, syscall.ENOENT
	}
	i := f.newInode(mode)
	if i.isDir() {
		dir.links++
	}
	f.rename(dirOp{{dir, name, i}})
	return i, 0
}

func orExist(err syscall.Errno) syscall.Errno {
	if err == 0 {
		return syscall.EEXIST
	}
	return err
}

func (f *FS) link(dir *inode, name string, i *inode) syscall.Errno {
	if _, err := f.child(dir, name); err != syscall.ENOENT {
		return orExist(err)
	}
	if i.isDir() || i.links == 0 {
		return syscall.EPERM
	}
	i.links++
	f.rename(dirOp{{dir, name, i}})
	return 0
}

// removable says whether the name i of a directory may go, or be replaced.
func removable(i *inode, dir bool) syscall.Errno {
	switch {
	case dir && !i.isDir():
		return syscall.ENOTDIR
	case !dir && i.isDir():
		return syscall.EISDIR
	case dir && len(i.names) > 0:
		return syscall.ENOTEMPTY
	}
	return 0
}

// drop takes a name of i away in the count of links, not in the directory.
func (f *FS) drop(dir, i *inode) {
	if i.isDir() {
		i.links = 0
		dir.links--
		return
	}
	i.links--
	f.recharge(i)
}

func (f *FS) remove(dir *inode, name string, isDir bool) syscall.Errno {
	i, err := f.child(dir, name)
	if err == 0 {
		err = removable(i, isDir)
	}
	if err != 0 {
		return err
	}
	f.drop(dir, i)
	f.rename(dirOp{{dir, name, nil}})
	return 0
}

// renameNoReplace is the one flag of renameat2 that is supported.
const renameNoReplace = 1

func (f *FS) move(from *inode, oldName string, to *inode, newName string, flags uint32) syscall.Errno {
	i, err := f.child(from, oldName)
	if err != 0 {
		return err
	}
	old, err := f.child(to, newName)
	if err == syscall.ENOTDIR {
		return err
	}
	for dir := to; dir != nil && i.isDir(); dir = dir.parent {
		if dir == i {
			return syscall.EINVAL
		}
	}
	switch {
	case flags&^renameNoReplace != 0:
		return syscall.EINVAL
	case old == i:
		return 0
	case old != nil && flags&renameNoReplace != 0:
		return syscall.EEXIST
	case old != nil:
		if err := removable(old, i.isDir()); err != 0 {
			return err
		}
		f.drop(to, old)
	}
	if i.isDir() && from != to {
		from.links--
		to.links++
	}
	f.rename(dirOp{{from, oldName, nil}, {to, newName, i}})
	return 0
}

// write writes as much as there is room for, and ENOSPC when that is nothing.
func (f *FS) write(i *inode, data []byte, off int64) (int, syscall.Errno) {
	if i.live == nil {
		return 0, syscall.EINVAL
	}
	n := 0
	for n < len(data) {
		at := off + int64(n)
		part := min(len(data)-n, int(pageBytes-at%pageBytes))
		k := int(at / pageBytes)
		there := k < len(i.live.pages) && i.live.pages[k] != nil
		if !there && i.live.allocated()+pageBytes > i.charged && f.used+pageBytes > f.capacity {
			break
		}
		i.live.writeAt(data[n:n+part], at)
		f.recharge(i)
		n += part
	}
	if n == 0 && len(data) > 0 {
		f.counts.Refused++
		return 0, syscall.ENOSPC
	}
	i.change(dataOp{kind: dataWrite, off: off, data: append([]byte(nil), data[:n]...)})
	i.touch()
	f.counts.WrittenBytes += int64(n)
	return n, 0
}

func (f *FS) truncate(i *inode, size int64) syscall.Errno {
	if i.live == nil {
		return syscall.EINVAL
	}
	i.live.truncate(size)
	i.reserved = min(i.reserved, size)
	i.change(dataOp{kind: dataTruncate, size: size})
	i.touch()
	f.recharge(i)
	return 0
}

// Modes of fallocate.
const (
	allocKeepSize  = 0x1
	allocPunchHole = 0x2
	allocZeroRange = 0x10
)

func (f *FS) allocate(i *inode, off, n int64, mode uint32) syscall.Errno {
	if i.live == nil {
		return syscall.EINVAL
	}
	if mode&^(allocKeepSize|allocPunchHole|allocZeroRange) != 0 {
		return syscall.EOPNOTSUPP
	}
	if mode&(allocPunchHole|allocZeroRange) != 0 {
		i.live.zero(off, n)
		i.change(dataOp{kind: dataZero, off: off, size: n})
		if mode&allocPunchHole != 0 && off+n >= i.reserved {
			i.reserved = min(i.reserved, off)
		}
	}
	if mode&allocPunchHole == 0 {
		if more := roundUp(off+n) - max(i.charged, 0); more > 0 && f.used+more > f.capacity {
			f.counts.Refused++
			return syscall.ENOSPC
		}
		i.reserved = max(i.reserved, off+n)
	}
	if mode&allocKeepSize == 0 && off+n > i.live.size {
		i.live.size = off + n
		i.change(dataOp{kind: dataExtend, size: off + n})
	}
	i.touch()
	f.recharge(i)
	return 0
}

func (f *FS) sync(i *inode) {
	if i.isDir() {
		f.syncDir(i)
	} else {
		i.syncData()
	}
}

// release is called for each open that ends; the last one of a file without names frees it.
func (f *FS) release(i *inode) {
	i.opens--
	f.recharge(i)
}

// entries lists a directory, as it is now.
func (i *inode) entries() []string { return sortedNames(maps.Clone(i.names)) }

// joined is the path of a name in a directory, made only when somebody asks.
func joined(dir *inode, name string) func() string {
	return func() string { return path.Join(dir.path(), name) }
}
