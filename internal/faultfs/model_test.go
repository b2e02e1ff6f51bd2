package faultfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// The model keeps everything that ever happened and answers each question by going through all of it,
// with contents as strings and trees as maps of paths.

// modelName is a change of names: one or two of (directory, name, file or 0).
type modelName struct {
	edits  []modelEdit
	synced bool
}

type modelEdit struct {
	dir  int
	name string
	to   int
}

// modelFile is a file or directory.
type modelFile struct {
	isDir   bool
	changes []func(string) string
	parts   []func(old string, cut int, zeros bool) string // of a change that can be torn, else nil
	synced  int                                            // how many of the changes are durable
}

func (f *modelFile) after(n int) string {
	s := ""
	for _, change := range f.changes[:n] {
		s = change(s)
	}
	return s
}

type fsModel struct {
	files []*modelFile // file 0 stands for none, file 1 is the root
	names []*modelName
}

// tree returns the names in each directory after the chosen changes.
func (m *fsModel) tree(chosen func(i int, n *modelName) bool) map[int]map[string]int {
	dirs := map[int]map[string]int{}
	for i, n := range m.names {
		if !chosen(i, n) {
			continue
		}
		for _, e := range n.edits {
			if dirs[e.dir] == nil {
				dirs[e.dir] = map[string]int{}
			}
			if e.to == 0 {
				delete(dirs[e.dir], e.name)
			} else {
				dirs[e.dir][e.name] = e.to
			}
		}
	}
	return dirs
}

func (m *fsModel) live() map[int]map[string]int {
	return m.tree(func(int, *modelName) bool { return true })
}

// paths lists what can be reached from the root: path -> file.
func (m *fsModel) paths(dirs map[int]map[string]int) map[string]int {
	all := map[string]int{".": 1}
	var walk func(at string, dir int)
	walk = func(at string, dir int) {
		for name, file := range dirs[dir] {
			all[path.Join(at, name)] = file
			if m.files[file].isDir {
				walk(path.Join(at, name), file)
			}
		}
	}
	walk(".", 1)
	return all
}

// syncDir makes changes durable by the definition: those of dir, and with each change all earlier ones
// of every directory that it touches, until nothing more follows.
func (m *fsModel) syncDir(dir int) {
	touches := func(n *modelName, dir int) bool {
		return slices.ContainsFunc(n.edits, func(e modelEdit) bool { return e.dir == dir })
	}
	durable := map[int]bool{}
	for i, n := range m.names {
		durable[i] = touches(n, dir)
	}
	for grown := true; grown; {
		grown = false
		for i, n := range m.names {
			for _, e := range n.edits {
				for before := range i {
					if durable[i] && !durable[before] && touches(m.names[before], e.dir) {
						durable[before], grown = true, true
					}
				}
			}
		}
	}
	for i, yes := range durable {
		m.names[i].synced = m.names[i].synced || yes
	}
}

// flatten turns an image into path -> contents, "/" for directories.
func flatten(img *Image) map[string]string {
	all := map[string]string{}
	var walk func(at string, n *node)
	walk = func(at string, n *node) {
		if n.names == nil {
			all[at] = string(n.file.bytes())
			return
		}
		all[at] = "/"
		for name, child := range n.names {
			walk(path.Join(at, name), child)
		}
	}
	walk(".", img.root)
	return all
}

// allowed compares an image with what the model allows for its loss, "" when it is fine.
func (m *fsModel) allowed(img *Image, loss Loss) string {
	got := flatten(img)
	var pending []int
	for i, n := range m.names {
		if !n.synced {
			pending = append(pending, i)
		}
	}
	points := map[DirLoss][]int{DirsDropped: {0}, DirsKept: {len(pending)}}[loss.Dirs]
	if loss.Dirs == DirsPrefix {
		for n := range len(pending) + 1 {
			points = append(points, n)
		}
	}
	var faults []string
	for _, kept := range points {
		paths := m.paths(m.tree(func(i int, n *modelName) bool { return n.synced || slices.Contains(pending[:kept], i) }))
		if fault := m.sameTree(got, paths, loss); fault == "" {
			return ""
		} else {
			faults = append(faults, fmt.Sprintf("%d name changes kept: %s", kept, fault))
		}
	}
	return strings.Join(faults, "\n")
}

func (m *fsModel) sameTree(got map[string]string, paths map[string]int, loss Loss) string {
	want := slices.Sorted(maps.Keys(paths))
	if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, want) {
		return fmt.Sprintf("holds %q, want %q", have, want)
	}
	for at, file := range paths {
		if !m.files[file].may(got[at], loss) {
			return fmt.Sprintf("%s holds %q, which %v cannot leave", at, got[at], loss)
		}
	}
	return ""
}

// may reports whether a file may hold this after a loss.
func (f *modelFile) may(got string, loss Loss) bool {
	if f.isDir {
		return got == "/"
	}
	switch loss.Data {
	case DataDropped:
		return got == f.after(f.synced)
	case DataKept:
		return got == f.after(len(f.changes))
	case DataScattered:
		// Any subset of the writes: tried out, so there must not be many.
		return f.scattered(f.after(f.synced), f.synced, got)
	}
	for n := f.synced; n <= len(f.changes); n++ {
		s := f.after(n)
		if got == s {
			return true
		}
		if loss.Data == DataPrefix || n == len(f.changes) || f.parts[n] == nil {
			continue
		}
		for cut := 0; ; cut++ {
			part := f.parts[n](s, cut, loss.Data == DataZeroTail)
			if got == part {
				return true
			}
			if part == f.after(n+1) {
				break
			}
		}
	}
	return false
}

func (f *modelFile) scattered(s string, n int, got string) bool {
	if n == len(f.changes) {
		return s == got
	}
	return f.scattered(f.changes[n](s), n+1, got) || f.parts[n] != nil && f.scattered(s, n+1, got)
}

// overwrite is what a write makes of a file.
func overwrite(old, data string, off int) string {
	b := []byte(old)
	if need := off + len(data); len(b) < need && len(data) > 0 {
		b = append(b, make([]byte, need-len(b))...)
	}
	copy(b[min(off, len(b)):], data)
	return string(b)
}

func resize(s string, n int) string {
	if n <= len(s) {
		return s[:n]
	}
	return s + string(make([]byte, n-len(s)))
}

// TestModel does random things to a file system and to the model, and compares what every kind of
// loss leaves. It needs no mount.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := New(nil)
		m := &fsModel{files: []*modelFile{nil, {isDir: true}}}
		inodes := []*inode{nil, f.root}
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for left := steps; left > 0; left-- {
			m.step(t, f, &inodes)
			seed := rapid.Uint64().Draw(t, "seed")
			for kind := range Losses {
				if left > 1 && rapid.IntRange(0, 7).Draw(t, "look") > 0 {
					continue // all kinds only at the end
				}
				loss := LossOf(kind, seed)
				img := f.Image(loss)
				if fault := m.allowed(img, loss); fault != "" {
					t.Fatalf("%v: %s", img, fault)
				}
			}
		}
		// A file system made from an image holds it, durably.
		img := f.Image(Loss{Data: DataTorn, Dirs: DirsPrefix, Seed: 1})
		again := New(&Options{Image: img})
		if a, b := flatten(img), flatten(again.Image(Loss{})); !maps.Equal(a, b) {
			t.Fatalf("an image of %q became %q", a, b)
		}
		if used, _ := f.Used(); used < 0 {
			t.Fatalf("%d bytes are used", used)
		}
	})
}

// step does one thing to both.
func (m *fsModel) step(t *rapid.T, f *FS, inodes *[]*inode) {
	paths := m.paths(m.live())
	at := slices.Sorted(maps.Keys(paths))
	pick := func(label string, keep func(file int) bool) (string, int) {
		var some []string
		for _, p := range at {
			if keep(paths[p]) {
				some = append(some, p)
			}
		}
		if len(some) == 0 {
			return "", 0
		}
		p := rapid.SampledFrom(some).Draw(t, label)
		return p, paths[p]
	}
	isDir := func(file int) bool { return m.files[file].isDir }
	isFile := func(file int) bool { return !isDir(file) }
	names := rapid.SampledFrom([]string{"a", "b", "c"})
	f.mu.Lock()
	defer f.mu.Unlock()
	add := func(edits ...modelEdit) { m.names = append(m.names, &modelName{edits: edits}) }
	change := func(file int, to func(string) string, part func(string, int, bool) string) {
		x := m.files[file]
		if len(x.changes)-x.synced >= 8 { // the model tries subsets out
			f.sync((*inodes)[file])
			x.synced = len(x.changes)
		}
		x.changes, x.parts = append(x.changes, to), append(x.parts, part)
	}
	switch kind := rapid.IntRange(0, 9).Draw(t, "op"); kind {
	case 0, 1: // make a file or a directory
		_, dir := pick("dir", isDir)
		name := names.Draw(t, "name")
		mode := uint32(syscall.S_IFREG)
		if kind == 1 {
			mode = syscall.S_IFDIR
		}
		_, taken := m.live()[dir][name]
		i, err := f.make((*inodes)[dir], name, mode)
		if (err == syscall.EEXIST) != taken {
			t.Fatalf("make %s: %v, taken %t", name, err, taken)
		}
		if err == 0 {
			*inodes = append(*inodes, i)
			m.files = append(m.files, &modelFile{isDir: kind == 1})
			add(modelEdit{dir, name, len(m.files) - 1})
		}
	case 2, 3, 4: // change a file
		_, file := pick("file", isFile)
		if file == 0 {
			return
		}
		m.changeFile(t, f, (*inodes)[file], file, change)
	case 5: // sync a file
		if _, file := pick("file", isFile); file != 0 {
			f.sync((*inodes)[file])
			m.files[file].synced = len(m.files[file].changes)
		}
	case 6: // sync a directory
		_, dir := pick("dir", isDir)
		f.sync((*inodes)[dir])
		m.syncDir(dir)
	case 7: // remove a name
		p, file := pick("path", func(file int) bool { return file != 1 })
		if file == 0 {
			return
		}
		dir := paths[path.Dir(p)]
		empty := len(m.live()[file]) == 0
		err := f.remove((*inodes)[dir], path.Base(p), m.files[file].isDir)
		if (err == syscall.ENOTEMPTY) != !empty {
			t.Fatalf("remove %s: %v", p, err)
		}
		if err == 0 {
			add(modelEdit{dir, path.Base(p), 0})
		}
	case 8: // link
		_, file := pick("file", isFile)
		_, dir := pick("dir", isDir)
		name := names.Draw(t, "name")
		if file != 0 && f.link((*inodes)[dir], name, (*inodes)[file]) == 0 {
			add(modelEdit{dir, name, file})
		}
	case 9: // rename
		p, file := pick("path", func(file int) bool { return file != 1 })
		_, dir := pick("dir", isDir)
		name := names.Draw(t, "name")
		if file == 0 {
			return
		}
		from := paths[path.Dir(p)]
		same := m.live()[dir][name] == file
		if f.move((*inodes)[from], path.Base(p), (*inodes)[dir], name, 0) == 0 && !same {
			add(modelEdit{from, path.Base(p), 0}, modelEdit{dir, name, file})
		}
	}
	m.compareLive(t, f)
}

// changeFile writes to, truncates or allocates a file.
func (m *fsModel) changeFile(t *rapid.T, f *FS, i *inode, file int, change func(int, func(string) string, func(string, int, bool) string)) {
	off := rapid.SampledFrom([]int{0, 1, 500, 4090, 4096, 9000}).Draw(t, "off")
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0:
		change(file, func(s string) string { return resize(s, off) }, nil)
		f.truncate(i, int64(off))
	case 1:
		n := rapid.SampledFrom([]int{1, 600, 5000}).Draw(t, "length")
		if x := m.files[file]; len(x.after(len(x.changes))) < off+n { // else it changes nothing
			change(file, func(s string) string { return resize(s, max(len(s), off+n)) }, nil)
		}
		f.allocate(i, int64(off), int64(n), 0)
	case 2:
		n := rapid.SampledFrom([]int{1, 600, 5000}).Draw(t, "length")
		change(file, func(s string) string {
			b := []byte(s)
			clear(b[min(off, len(b)):min(off+n, len(b))])
			return string(b)
		}, nil)
		f.allocate(i, int64(off), int64(n), allocKeepSize|allocPunchHole)
	default:
		data := strings.Repeat(rapid.StringMatching("[a-z]{1,3}").Draw(t, "data"), rapid.SampledFrom([]int{1, 100, 800}).Draw(t, "times"))
		change(file, func(s string) string { return overwrite(s, data, off) },
			func(s string, cut int, zeros bool) string {
				if cut >= len(data) {
					return overwrite(s, data, off)
				}
				part := overwrite(s, data[:cut], off)
				if zeros {
					part = resize(part, max(len(part), off+len(data)))
				}
				return part
			})
		f.write(i, []byte(data), int64(off))
	}
}

// compareLive compares what programs see.
func (m *fsModel) compareLive(t *rapid.T, f *FS) {
	for at, file := range m.paths(m.live()) {
		if at == "." || m.files[file].isDir {
			continue
		}
		if got := string(f.readFile(at)); got != m.files[file].after(len(m.files[file].changes)) {
			t.Fatalf("%s reads %d bytes, other ones than the model's", at, len(got))
		}
	}
	var all []string
	var walk func(i *inode, at string)
	walk = func(i *inode, at string) {
		for _, name := range i.entries() {
			all = append(all, path.Join(at, name))
			walk(i.names[name], path.Join(at, name))
		}
	}
	walk(f.root, ".")
	sort.Strings(all)
	want := slices.Sorted(maps.Keys(m.paths(m.live())))
	if !slices.Equal(all, want[1:]) {
		t.Fatalf("programs see %q, want %q", all, want[1:])
	}
}
