package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// beMain makes the test binary run as pleiades: what a child process of these tests is.
const beMain = "PLEIADES_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// process is a running pleiades.
type process struct {
	*exec.Cmd
	out, errs bytes.Buffer
}

func command(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(self, args...)}
	p.Env = append(os.Environ(), beMain+"=1", "PLEIADES_DIR="+dir, "HOME="+t.TempDir())
	p.Stdout, p.Stderr = &p.out, &p.errs
	return p
}

// code waits for the end and returns the exit code; -1 for a signal.
func (p *process) code(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// must runs a command that has to succeed.
func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	p := command(t, dir, args...)
	if err := p.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, p.errs.String())
	}
	return p.out.String()
}

// records makes n JSON lines in which each key occurs three times.
func records(n int) string {
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "{\"key\":\"key%d\",\"value\":\"%d %s\"}\n", i%(n/3), i, strings.Repeat("x", 50))
	}
	return sb.String()
}

// verify checks that the store holds records(n), each exactly once.
func verify(t *testing.T, dir string, n int) {
	t.Helper()
	stat := must(t, dir, "kv", "stat", "-o", "jsonl")
	want := fmt.Sprintf(`"keys":%d,"deleted":0,"expired":0,"vacuumable":0,"versions":%d,`, n/3, n)
	if !strings.Contains(stat, want) {
		t.Fatalf("%s, want %s", stat, want)
	}
	for _, i := range []int{0, 1, n/3 - 1} {
		for version := range 3 {
			value := must(t, dir, "kv", "get", fmt.Sprint("key", i), "--version", fmt.Sprint(version+1))
			if number, _, _ := strings.Cut(value, " "); number != fmt.Sprint(i+version*(n/3)) {
				t.Fatalf("key%d version %d is %q", i, version+1, value)
			}
		}
	}
	must(t, dir, "check")
}

// TestKillDuringLoad kills a load without warning, again and again, and lets it finish at last: every record
// is there exactly once, and the store is sound.
func TestKillDuringLoad(t *testing.T) {
	const n = 6000
	in := records(n)
	dir := filepath.Join(t.TempDir(), "store")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 6 {
		p := command(t, dir, "kv", "load", "-", "--batch", "50")
		stdin, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		// The pipe holds little: what could be written has been read but for the last part of it.
		cut := rng.IntN(len(in))
		if _, err := io.WriteString(stdin, in[:cut]); err != nil {
			t.Fatal(err)
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if code := p.code(t); code != -1 {
			t.Fatalf("round %d: exit %d\n%s", round, code, p.errs.String())
		}
	}
	p := command(t, dir, "kv", "load", "-")
	p.Stdin = strings.NewReader(in)
	if err := p.Run(); err != nil {
		t.Fatalf("%v\n%s", err, p.errs.String())
	}
	t.Logf("%s%s", p.errs.String(), p.out.String())
	verify(t, dir, n)
}

// TestInterruptDuringLoad: an interruption finishes the batch, reports, and ends with 130; the rerun completes.
func TestInterruptDuringLoad(t *testing.T) {
	const n = 3000
	in := records(n)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		dir := filepath.Join(t.TempDir(), "store")
		p := command(t, dir, "kv", "load", "-", "--batch", "70")
		stdin, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(stdin, in[:len(in)*2/3]); err != nil {
			t.Fatal(err)
		}
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		var loaded int
		code := p.code(t)
		if _, err := fmt.Sscanf(p.out.String(), "loaded %d,", &loaded); err != nil || code != 130 || loaded == 0 {
			t.Fatalf("exit %d, %d loaded: %s%s", code, loaded, p.out.String(), p.errs.String())
		}
		if !strings.Contains(p.errs.String(), "run the same command again") {
			t.Fatal(p.errs.String())
		}
		again := command(t, dir, "kv", "load", "-")
		again.Stdin = strings.NewReader(in)
		if err := again.Run(); err != nil {
			t.Fatalf("%v\n%s", err, again.errs.String())
		}
		if want := fmt.Sprintf("loaded %d, unchanged 0, bad 0, read by an earlier run %d\n", n-loaded, loaded); again.out.String() != want {
			t.Fatalf("%q, want %q", again.out.String(), want)
		}
		verify(t, dir, n)
	}
}

// TestReaderGoesAway: "pleiades kv scan | head -1" ends quietly with code 0, and the store is closed in order.
func TestReaderGoesAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	p := command(t, dir, "kv", "load", "-")
	p.Stdin = strings.NewReader(records(9000))
	if err := p.Run(); err != nil {
		t.Fatalf("%v\n%s", err, p.errs.String())
	}
	for _, args := range [][]string{{"kv", "scan"}, {"kv", "scan", "-o", "table"}, {"kv", "dump", "-"}} {
		p = command(t, dir, args...)
		p.Stdout = nil
		r, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReaderSize(r, 16).ReadByte(); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if code := p.code(t); code != 0 || p.errs.Len() > 0 {
			t.Fatalf("%q: exit %d, %q", args, code, p.errs.String())
		}
	}
}

// TestTwoProcesses: the second process on a directory is told who has it, with the code for "try again".
func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	p := command(t, dir, "kv", "load", "-", "--format", "tsv", "--batch", "1")
	stdin, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	// More than the pipe and the reader's buffer hold: when it is written, the store is open.
	if _, err := io.WriteString(stdin, strings.Repeat("a\t"+strings.Repeat("v", 64<<10)+"\n", 20)); err != nil {
		t.Fatal(err)
	}
	second := command(t, dir, "kv", "get", "a")
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	if code := second.code(t); code != 5 || !strings.Contains(second.errs.String(), fmt.Sprint("pid ", p.Process.Pid)) {
		t.Fatalf("exit %d, %s", code, second.errs.String())
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != 0 {
		t.Fatalf("exit %d, %s", code, p.errs.String())
	}
	if got := must(t, dir, "kv", "get", "a"); len(got) != 64<<10 {
		t.Fatalf("%d bytes", len(got))
	}
}
