package faultfs

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"syscall"
)

// Op is a kind of operation, or with | a set of them.
type Op uint32

// The operations that rules can name and an observer sees.
const (
	OpOpen     Op = 1 << 0  // opening a file that exists, or a directory
	OpCreate   Op = 1 << 1  // making a file
	OpRead     Op = 1 << 2  // reading a file
	OpWrite    Op = 1 << 3  // writing to a file
	OpTruncate Op = 1 << 4  // setting a file's size
	OpAllocate Op = 1 << 5  // fallocate
	OpSync     Op = 1 << 6  // fsync of a file
	OpDataSync Op = 1 << 7  // fdatasync of a file
	OpDirSync  Op = 1 << 8  // fsync of a directory
	OpUnlink   Op = 1 << 9  // removing a file
	OpRename   Op = 1 << 10 // renaming; the path is the old one
	OpLink     Op = 1 << 11 // making a hard link; the path is the new one
	OpSymlink  Op = 1 << 12 // making a symbolic link
	OpMkdir    Op = 1 << 13 // making a directory
	OpRmdir    Op = 1 << 14 // removing a directory
	OpStat     Op = 1 << 15 // looking up a name, attributes
	OpReadDir  Op = 1 << 16 // listing a directory
	OpSetAttr  Op = 1 << 17 // permissions, owner, times

	// OpAnySync is every way to make something durable.
	OpAnySync = OpSync | OpDataSync | OpDirSync
	// OpChange is everything that changes names or contents, without syncs.
	OpChange = OpCreate | OpWrite | OpTruncate | OpAllocate | OpUnlink | OpRename | OpLink | OpSymlink | OpMkdir | OpRmdir
	// OpAny is everything.
	OpAny = OpOpen | OpRead | OpStat | OpReadDir | OpSetAttr | OpChange | OpAnySync
)

var opNames = []string{
	"open", "create", "read", "write", "truncate", "allocate", "fsync", "fdatasync", "dirsync", "unlink",
	"rename", "link", "symlink", "mkdir", "rmdir", "stat", "readdir", "setattr",
}

// String names the operations, joined by "|".
func (o Op) String() string {
	if o == OpAny {
		return "any"
	}
	var names []string
	for bit, name := range opNames {
		if o&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Rule says which operations go wrong, and how.
type Rule struct {
	// Ops are the operations meant. Required.
	Ops Op
	// Path is a pattern of package path: on the whole path from the root when it holds a slash, else on
	// its last element. Empty means every path.
	Path string
	// After lets so many matching operations pass first.
	After int
	// Times is how many operations fail or stall before the rule is spent; 0 means until it is lifted.
	Times int
	// Err is what the operations return, without having done anything. 0 makes them stall: they wait
	// until the rule is lifted, and then go on as if nothing had been (or fail, after a crash).
	Err syscall.Errno
}

// String prints the rule as a test's message needs it: "fsync of *.log: EIO, after 3, 1 time".
func (r Rule) String() string {
	text := r.Ops.String()
	if r.Path != "" {
		text += " of " + r.Path
	}
	if r.Err == 0 {
		text += ": stall"
	} else {
		text += ": " + r.Err.Error()
	}
	if r.After > 0 {
		text += fmt.Sprintf(", after %d", r.After)
	}
	if r.Times > 0 {
		text += fmt.Sprintf(", %d times", r.Times)
	}
	return text
}

func (r Rule) matches(op Op, name string) bool {
	if r.Ops&op == 0 {
		return false
	}
	if r.Path == "" {
		return true
	}
	if !strings.Contains(r.Path, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(r.Path, name)
	return ok && err == nil // Inject has checked the pattern
}

// Fault is a rule at work. Its methods may be called from any goroutine.
type Fault struct {
	f       *FS
	rule    Rule
	passed  int // guarded by FS.mu, as is fired
	fired   int
	hit     chan struct{} // closed when it first fires
	lifted  chan struct{}
	hitOnce sync.Once
	lift    sync.Once
}

// Inject puts a rule to work. The first rule that matches an operation decides. It panics on a rule
// that could never match, which is an error in the test.
func (f *FS) Inject(r Rule) *Fault {
	if _, err := path.Match(r.Path, ""); err != nil || r.Ops == 0 {
		panic(fmt.Sprintf("faultfs: the rule %q (path %q) can't match anything", r, r.Path))
	}
	fault := &Fault{f: f, rule: r, hit: make(chan struct{}), lifted: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
	return fault
}

// Lift ends the rule; what it has stalled goes on. It may be called more than once.
func (t *Fault) Lift() {
	t.lift.Do(func() {
		t.f.mu.Lock()
		defer t.f.mu.Unlock()
		close(t.lifted)
		for k, other := range t.f.faults {
			if other == t {
				t.f.faults = append(t.f.faults[:k:k], t.f.faults[k+1:]...)
				break
			}
		}
	})
}

// Hit returns a channel that closes when the rule first made something fail or stall.
func (t *Fault) Hit() <-chan struct{} { return t.hit }

// Fired returns how many operations the rule has made fail or stall.
func (t *Fault) Fired() int {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	return t.fired
}

// String prints the rule.
func (t *Fault) String() string { return t.rule.String() }

// fire reports whether the rule strikes this operation. FS.mu is held.
func (t *Fault) fire(op Op, name string) bool {
	if !t.rule.matches(op, name) {
		return false
	}
	if t.passed < t.rule.After {
		t.passed++
		return false
	}
	if t.rule.Times > 0 && t.fired >= t.rule.Times {
		return false
	}
	t.fired++
	t.hitOnce.Do(func() { close(t.hit) })
	return true
}
