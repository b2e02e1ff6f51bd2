package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shieldmaidens/pleiades/engine"
)

// Machine is what figures depend on beside the code.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryMiB  int64  `json:"memory_mib"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"`
	GoVersion  string `json:"go"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	// Library is RocksDB's version and build.
	Library string `json:"library"`
	// Asserts says that the library has assertions on: figures are low.
	Asserts bool `json:"asserts"`
}

// ReadMachine describes this machine, with the file system that dir is on.
func ReadMachine(dir string) Machine {
	lib := engine.Library()
	m := Machine{
		CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Kernel: "unknown", FileSystem: fileSystem(dir), GoVersion: runtime.Version(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Library: "RocksDB " + lib.Version + " (release build)", Asserts: lib.Asserts,
	}
	if lib.Asserts {
		m.Library = "RocksDB " + lib.Version + " (built with assertions)"
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Sysname[:]) + " " + unix.ByteSliceToString(uts.Release[:]) + " " + unix.ByteSliceToString(uts.Machine[:])
	}
	fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d", &m.MemoryMiB)
	m.MemoryMiB >>= 10
	return m
}

// String is one line for the head of a table.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %d MiB, %s, %s, %s, GOMAXPROCS %d, %s",
		m.CPU, m.Cores, m.MemoryMiB, m.Kernel, m.FileSystem, m.GoVersion, m.GOMAXPROCS, m.Library)
}

// procField returns the first value of a field in a file of "name : value" lines.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if field, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem names the type and options of the mount that dir is on.
func fileSystem(dir string) string {
	if dir == "" {
		dir = defaultDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	best, name := "", "unknown"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			continue
		}
		at := fields[1]
		if (dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/")) && len(at) >= len(best) {
			best, name = at, fields[2]+" ("+fields[3]+")"
		}
	}
	return name
}
