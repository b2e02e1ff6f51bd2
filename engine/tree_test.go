package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// treeSecondsEnv says for how many seconds TestTreeAgainstSet runs instead of 10.
const treeSecondsEnv = "PLEIADES_TREE_SECONDS"

// TestTreeAgainstSet compiles the tree under the memtable alone, with the program in testdata/tree that
// compares it with std::set, and runs that.
func TestTreeAgainstSet(t *testing.T) {
	seconds := 10
	if testing.Short() {
		seconds = 1
	}
	if v := os.Getenv(treeSecondsEnv); v != "" {
		var err error
		if seconds, err = strconv.Atoi(v); err != nil || seconds < 1 {
			t.Fatalf("%s is %q, must be a number of seconds", treeSecondsEnv, v)
		}
	}
	out, err := exec.Command("go", "env", "CXX").Output()
	if err != nil {
		t.Skipf("no go command to ask for the C++ compiler: %v", err)
	}
	compiler := strings.Fields(string(out))
	if len(compiler) == 0 {
		t.Skip("cgo has no C++ compiler")
	}
	if _, err := exec.LookPath(compiler[0]); err != nil {
		t.Skipf("the C++ compiler of cgo is not installed: %v", err)
	}
	program := filepath.Join(t.TempDir(), "tree")
	args := append(compiler[1:], "-std=c++17", "-O2", "-Wall", "-pthread", "-I.", "-o", program,
		filepath.Join("testdata", "tree", "main.cc"), "native_tree.cc")
	if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute+10*time.Duration(seconds)*time.Second)
	defer cancel()
	seed := time.Now().UnixNano() & 0xffffffff
	got, err := exec.CommandContext(ctx, program, strconv.Itoa(seconds), strconv.FormatInt(seed, 10)).CombinedOutput()
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, got)
	}
	t.Logf("seed %d: %s", seed, got)
}
