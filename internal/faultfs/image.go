package faultfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Image is what a crash leaves: a tree of files that nothing changes any more. It costs little: it
// shares its pages with the file system and with other images. All methods are safe for concurrent use.
type Image struct {
	root *node
	loss Loss
	// Counts of what was pending, and of what of it was kept.
	dataPending, dataKept int
	dirPending, dirKept   int
}

// node is a file, directory or symbolic link of an image; hard links share one.
type node struct {
	mode   uint32
	file   *content
	target string
	names  map[string]*node
}

// image builds what a crash at this moment leaves. FS.mu is held.
func (f *FS) image(loss Loss) *Image {
	img := &Image{loss: loss, dirPending: len(f.dirOps)}
	kept := loss.names(f.dirOps)
	img.dirKept = len(kept)
	// Directories that the kept changes touch get a map of their own; the others are read as they are.
	changed := map[*inode]map[string]*inode{}
	for _, op := range kept {
		for _, e := range op {
			names := changed[e.dir]
			if names == nil {
				names = make(map[string]*inode, len(e.dir.durableNames)+1)
				for name, to := range e.dir.durableNames {
					names[name] = to
				}
				changed[e.dir] = names
			}
			if e.to == nil {
				delete(names, e.name)
			} else {
				names[e.name] = e.to
			}
		}
	}
	nodes := map[*inode]*node{}
	var build func(i *inode) *node
	build = func(i *inode) *node {
		if n := nodes[i]; n != nil {
			return n
		}
		n := &node{mode: i.mode, target: i.target}
		nodes[i] = n
		switch {
		case i.isDir():
			names, ok := changed[i]
			if !ok {
				names = i.durableNames
			}
			n.names = make(map[string]*node, len(names))
			for name, to := range names {
				n.names[name] = build(to)
			}
		case i.live != nil:
			var kept int
			n.file, kept = loss.contents(i)
			img.dataPending += len(i.pending)
			img.dataKept += kept
		}
		return n
	}
	img.root = build(f.root)
	return img
}

// Loss returns the loss that the image was made with.
func (img *Image) Loss() Loss { return img.loss }

// Lost returns how many unsynced changes the image lacks: of contents of files that are in it, and of
// names.
func (img *Image) Lost() (data, names int) {
	return img.dataPending - img.dataKept, img.dirPending - img.dirKept
}

// String says what was lost and kept.
func (img *Image) String() string {
	return fmt.Sprintf("%v: %d of %d writes and %d of %d name changes kept",
		img.loss, img.dataKept, img.dataPending, img.dirKept, img.dirPending)
}

// find returns the node at a slash-separated path from the root.
func (img *Image) find(name string) *node {
	n := img.root
	for _, part := range strings.Split(path.Clean(name), "/") {
		if part == "." || part == "" {
			continue
		}
		if n = n.names[part]; n == nil {
			return nil
		}
	}
	return n
}

// ReadFile returns a file's contents.
func (img *Image) ReadFile(name string) ([]byte, error) {
	n := img.find(name)
	if n == nil || n.file == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return n.file.bytes(), nil
}

// Names returns the names in a directory, sorted; nil when there is no such directory.
func (img *Image) Names(dir string) []string {
	n := img.find(dir)
	if n == nil || n.names == nil {
		return nil
	}
	return sortedNames(n.names)
}

func sortedNames[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// WriteTo writes what lies below the directory from (a path from the root, "." for all) into dir of
// the real file system, which it makes. Hard links stay hard links, holes stay holes. It syncs nothing.
func (img *Image) WriteTo(dir, from string) error {
	n := img.find(from)
	if n == nil || n.names == nil {
		// A store whose directory never became durable: an empty directory is what a program finds that
		// makes it again.
		return os.MkdirAll(dir, 0o755)
	}
	return n.writeTo(dir, map[*node]string{})
}

func (n *node) writeTo(at string, written map[*node]string) error {
	switch {
	case n.names != nil:
		if err := os.MkdirAll(at, fs.FileMode(n.mode&0o777)); err != nil {
			return err
		}
		for name, child := range n.names {
			if err := child.writeTo(filepath.Join(at, name), written); err != nil {
				return err
			}
		}
		return nil
	case n.file == nil:
		return os.Symlink(n.target, at)
	}
	if first, ok := written[n]; ok {
		return os.Link(first, at)
	}
	written[n] = at
	f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(n.mode&0o777))
	if err != nil {
		return err
	}
	err = n.file.writeFile(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// writeFile writes runs of pages at their places.
func (c *content) writeFile(f *os.File) error {
	if err := f.Truncate(c.size); err != nil {
		return err
	}
	var run []byte
	start := int64(0)
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		_, err := f.WriteAt(run[:min(int64(len(run)), c.size-start)], start)
		run = run[:0]
		return err
	}
	for i, p := range c.pages {
		at := int64(i) * pageBytes
		if p == nil || at >= c.size {
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		if len(run) == 0 {
			start = at
		}
		run = append(run, p[:]...)
	}
	return flush()
}

// load fills an empty file system with an image, all of it durable.
func (f *FS) load(img *Image) {
	inodes := map[*node]*inode{}
	var build func(n *node, i *inode)
	build = func(n *node, dir *inode) {
		for _, name := range sortedNames(n.names) {
			child := n.names[name]
			i := inodes[child]
			if i == nil {
				i = f.newInode(child.mode)
				inodes[child] = i
				i.target = child.target
				if child.file != nil {
					i.live, i.durable = child.file.clone(), child.file
					f.recharge(i)
				}
			} else {
				i.links++
			}
			dir.names[name], dir.durableNames[name] = i, i
			i.parent, i.name = dir, name
			if child.mode&syscall.S_IFMT == syscall.S_IFDIR {
				dir.links++
				build(child, i)
			}
		}
	}
	build(img.root, f.root)
}
