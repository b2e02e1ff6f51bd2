package doctor

import (
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Verdict is the outcome of a check.
type Verdict uint8

// The verdicts, from good to bad. Zero is no verdict.
const (
	OK   Verdict = 1
	Warn Verdict = 2
	Fail Verdict = 3
)

func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	case Fail:
		return "fail"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Result is what one check found.
type Result struct {
	// Name is one of the names below, the same in every version.
	Name    string
	Verdict Verdict
	// Found says what is, with numbers and units.
	Found string
	// Fix says what to do, a command where there is one; empty with OK.
	Fix string
}

// The names of the checks.
const (
	NameReceiveBuffer = "udp-receive-buffer"
	NameSendBuffer    = "udp-send-buffer"
	NameOpenFiles     = "open-files"
	NameClockSync     = "clock-sync"
	NameStoreClock    = "store-clock"
	NameLibrary       = "library"
	NameDataDir       = "data-directory"
	NameDiskSpace     = "disk-space"
	NameFileSystem    = "file-system"
	NameCertsDir      = "certificates-directory"
	NameCertificates  = "certificates"
	NameAdvertise     = "advertised-hosts"
	NameCAKey         = "ca-key"
)

// Library is the build of RocksDB that the program is linked with.
type Library struct {
	Version string
	// Asserts says that it was built with assertions.
	Asserts bool
}

// Options say what is looked at. The zero Options look at the machine alone.
type Options struct {
	// DataDir is the directory of the store; empty: its checks are left out. It need not exist yet.
	DataDir string
	// CertsDir is the directory of the certificates; empty: their checks are left out.
	CertsDir string
	// Advertise are the hosts, without ports, by which others reach the node; empty: not checked.
	Advertise []string
	// Library is the linked RocksDB; nil: not checked.
	Library *Library
	// StoreClock opens the clock of the store and closes it again; its error is the result. Nil: not checked.
	StoreClock func() error
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// System is the machine; the zero value is the real one.
	System System
}

// System is how the machine is asked. Functions that are nil are those of the real machine.
type System struct {
	// ReadFile returns the content of a file below /proc.
	ReadFile func(path string) ([]byte, error)
	// Stat is os.Stat.
	Stat func(path string) (fs.FileInfo, error)
	// Writable returns nil when this process may write to a directory.
	Writable func(path string) error
	// OpenFiles returns how many files this process may have open.
	OpenFiles func() (uint64, error)
	// Clock returns what the kernel knows about the wall clock.
	Clock func() (ClockState, error)
	// FileSystem returns what holds a path, which exists.
	FileSystem func(path string) (FileSystem, error)
}

// ClockState is what the kernel knows about the wall clock.
type ClockState struct {
	// Synchronised says that something keeps the clock right.
	Synchronised bool
	// MaxError bounds how wrong the clock is, as the kernel estimates it.
	MaxError time.Duration
}

// FileSystem describes a file system.
type FileSystem struct {
	// Type is its name, such as "ext4"; "0x…" for one that is not known here.
	Type string
	// FreeBytes is what this process may still use of TotalBytes.
	FreeBytes, TotalBytes uint64
	// FreeFiles of TotalFiles are how many files can be made; both 0 where the file system has no bound.
	FreeFiles, TotalFiles uint64
}

// Run runs all checks and returns their results in a fixed order. o may be nil.
func Run(o *Options) []Result {
	var c checker
	if o != nil {
		c.Options = *o
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.System = c.System.filled()
	c.buffer(NameReceiveBuffer, "rmem_max")
	c.buffer(NameSendBuffer, "wmem_max")
	c.openFiles()
	c.clockSync()
	c.storeClock()
	c.library()
	c.dataDir()
	c.certificates()
	return c.results
}

// Worst returns the worst verdict of results; OK for none.
func Worst(results []Result) Verdict {
	worst := OK
	for _, r := range results {
		worst = max(worst, r.Verdict)
	}
	return worst
}

// checker collects results.
type checker struct {
	Options
	results []Result
}

func (c *checker) ok(name, format string, args ...any) {
	c.results = append(c.results, Result{Name: name, Verdict: OK, Found: fmt.Sprintf(format, args...)})
}

func (c *checker) bad(v Verdict, name, fix, format string, args ...any) {
	c.results = append(c.results, Result{Name: name, Verdict: v, Fix: fix, Found: fmt.Sprintf(format, args...)})
}

// unknown says that something could not be found out.
func (c *checker) unknown(name string, err error, fix string) {
	c.bad(Warn, name, fix, "not known: %v", err)
}

// mib writes a number of bytes for people.
func mib(b uint64) string {
	if b < 10<<30 {
		return fmt.Sprintf("%d MiB", b>>20)
	}
	return fmt.Sprintf("%d GiB", b>>30)
}

// list joins at most a few items.
func list(items []string) string {
	const most = 5
	if len(items) > most {
		return strings.Join(items[:most], ", ") + fmt.Sprintf(" and %d more", len(items)-most)
	}
	return strings.Join(items, ", ")
}
