package faultfs

// dataKind says what a dataOp does to a file.
type dataKind int

const (
	dataWrite    dataKind = 1 // data at off
	dataTruncate dataKind = 2 // size
	dataExtend   dataKind = 3 // at least size, by fallocate
	dataZero     dataKind = 4 // size bytes of zeros at off, by fallocate
)

// dataOp is one change of a file that its next fsync makes durable.
type dataOp struct {
	kind dataKind
	off  int64
	size int64
	data []byte
}

func (o *dataOp) apply(c *content) {
	switch o.kind {
	case dataWrite:
		c.writeAt(o.data, o.off)
	case dataTruncate:
		c.truncate(o.size)
	case dataExtend:
		c.size = max(c.size, o.size)
	case dataZero:
		c.zero(o.off, o.size)
	}
}

// maxPending bounds the changes that are remembered of one file. A file that is never synced (a log,
// say) would otherwise grow without end; beyond it the older half counts as written back, which is
// what a kernel does after some seconds.
const maxPending = 1024

// change notes a change that was just made to the file's live content.
func (i *inode) change(op dataOp) {
	i.pending = append(i.pending, op)
	if len(i.pending) < maxPending {
		return
	}
	durable := i.durable.clone()
	half := len(i.pending) / 2
	for k := range i.pending[:half] {
		i.pending[k].apply(durable)
	}
	i.durable = durable
	i.pending = append([]dataOp(nil), i.pending[half:]...)
}

// syncData makes the file's contents durable.
func (i *inode) syncData() {
	if len(i.pending) > 0 {
		i.durable = i.live.clone()
		i.pending = nil
	}
}

// edit is one change of one name: dir's name means to from now on, nothing with nil.
type edit struct {
	dir  *inode
	name string
	to   *inode
}

// dirOp is one atomic change of names: one edit, or two for a rename.
type dirOp []edit

func (o dirOp) touches(dirs map[*inode]bool) bool {
	for _, e := range o {
		if dirs[e.dir] {
			return true
		}
	}
	return false
}

// rename changes names now, durable with the next fsync of the directory.
func (f *FS) rename(op dirOp) {
	for _, e := range op {
		if e.to == nil {
			delete(e.dir.names, e.name)
		} else {
			e.dir.names[e.name] = e.to
			e.to.parent, e.to.name = e.dir, e.name
		}
		e.dir.touch()
	}
	f.dirOps = append(f.dirOps, op)
}

// syncDir makes the names in dir durable: every pending change of dir, and what those need. A rename
// between directories is atomic, so it takes the earlier changes of the other directory with it.
func (f *FS) syncDir(dir *inode) {
	dirs := map[*inode]bool{dir: true}
	keep := make([]bool, len(f.dirOps)) // true: stays pending
	for k := len(f.dirOps) - 1; k >= 0; k-- {
		if !f.dirOps[k].touches(dirs) {
			keep[k] = true
			continue
		}
		for _, e := range f.dirOps[k] {
			dirs[e.dir] = true
		}
	}
	left := f.dirOps[:0:0]
	for k, op := range f.dirOps {
		if keep[k] {
			left = append(left, op)
			continue
		}
		for _, e := range op {
			if e.to == nil {
				delete(e.dir.durableNames, e.name)
			} else {
				e.dir.durableNames[e.name] = e.to
			}
		}
	}
	f.dirOps = left
}
