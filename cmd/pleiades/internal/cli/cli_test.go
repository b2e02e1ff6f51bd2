package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestEveryCommandExplainsItself: help leads with examples, three for each command that does something.
func TestEveryCommandExplainsItself(t *testing.T) {
	w := newWorld(t)
	var out, errs bytes.Buffer
	root := w.app(&out, &errs).root()
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Hidden {
			return
		}
		n++
		want := 1
		if !c.HasSubCommands() {
			want = 3
		}
		if got := strings.Count(c.Example, "\n") + 1; c.Example == "" || got < want {
			t.Errorf("%s has %d examples, not %d", c.CommandPath(), got, want)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q", c.CommandPath(), c.Short)
		}
		help := w.run(append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if help.code != exit.OK || !strings.HasPrefix(help.out, "Examples:\n") || help.err != "" {
			t.Errorf("%s --help: exit %d\n%s", c.CommandPath(), help.code, help.out)
		}
		for line := range strings.Lines(help.out) {
			if len(line) > 160 {
				t.Errorf("%s --help: a long line: %s", c.CommandPath(), line)
			}
		}
	}
	walk(root)
	if n < 25 {
		t.Fatalf("only %d commands", n)
	}
}

func TestCompletion(t *testing.T) {
	w := newWorld(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := w.must("completion", shell); !strings.Contains(got, "pleiades") || len(got) < 1000 {
			t.Errorf("%s: %d bytes", shell, len(got))
		}
	}
	// What the scripts ask at run time.
	if got := w.must("__complete", "kv", "hi"); !strings.HasPrefix(got, "history\t") {
		t.Errorf("%q", got)
	}
}

func TestParseAt(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for in, want := range map[string]hlc.Timestamp{
		"1763812345.123456789,7":  {WallNanos: 1763812345123456789, Logical: 7},
		"@1763812345.123456789,7": {WallNanos: 1763812345123456789, Logical: 7},
		"1970-01-01T00:00:01Z":    {WallNanos: 1e9, Logical: 1<<32 - 1},
		"-1h":                     {WallNanos: now.Add(-time.Hour).UnixNano(), Logical: 1<<32 - 1},
		"-2d":                     {WallNanos: now.Add(-48 * time.Hour).UnixNano(), Logical: 1<<32 - 1},
	} {
		if got, err := parseAt(in, now); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "@", "1h", "now", "1763812345", "2026-01-01", "-", "1763812345.1,7", "-d", "-99999999999d", "-200000d"} {
		if got, err := parseAt(in, now); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// TestInUse: a store that somebody has open is an error that names the process, and may be tried again.
func TestInUse(t *testing.T) {
	w := newWorld(t)
	w.withStore(func(*engine.Engine, *versioning.Bucket) {
		for _, args := range [][]string{{"kv", "get", "a"}, {"kv", "put", "a", "b"}, {"check"}} {
			r := w.run(args...)
			if r.code != exit.Unavailable || !strings.Contains(r.err, fmt.Sprint("pid ", os.Getpid())) {
				t.Errorf("%q: %+v", args, r)
			}
		}
	})
}

// TestCheckFindsWrongRecords: records that contradict each other are listed, with exit code 7.
func TestCheckFindsWrongRecords(t *testing.T) {
	w := newWorld(t)
	w.must("kv", "put", "good", "1")
	w.must("kv", "put", "torn", "1")
	w.must("kv", "put", "torn", "2")
	w.withStore(func(eng *engine.Engine, _ *versioning.Bucket) {
		shard, err := eng.Shard(1001)
		if err != nil {
			t.Fatal(err)
		}
		b := eng.NewBatch()
		defer b.Close()
		if err := b.Delete(shard, keys.AppendLatest(nil, 1, []byte("torn"))); err != nil {
			t.Fatal(err)
		}
		if err := eng.Commit(t.Context(), b, engine.Sync); err != nil {
			t.Fatal(err)
		}
	})
	r := w.run("check", "-o", "json")
	if r.code != exit.CheckFailed || !strings.Contains(r.out, `key \"torn\"`) || strings.Contains(r.out, "good") {
		t.Fatalf("%+v", r)
	}
	if r := w.run("check"); r.code != exit.CheckFailed || !strings.Contains(r.out, "finding") {
		t.Fatalf("%+v", r)
	}
	if r := w.run("check", "--skip-files", "--only-shard"); r.code != exit.CheckFailed {
		t.Fatalf("%+v", r)
	}
}

// TestCheckFindsDamagedFiles: a changed byte in a table file is found, and what can be read still can.
func TestCheckFindsDamagedFiles(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.must("kv", "put", fmt.Sprint("key", i), strings.Repeat("value ", 200))
	}
	w.withStore(func(eng *engine.Engine, _ *versioning.Bucket) {
		shard, err := eng.Shard(1001)
		if err != nil {
			t.Fatal(err)
		}
		if err := shard.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if r := w.run("check"); r.code != exit.OK {
		t.Fatalf("%+v", r)
	}
	tables, err := filepath.Glob(filepath.Join(w.env["PLEIADES_DIR"], "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table files: %v", err)
	}
	// The largest table holds the values; damage to the others' few blocks would forbid opening.
	var largest string
	var b []byte
	for _, table := range tables {
		content, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > len(b) {
			largest, b = table, content
		}
	}
	b[len(b)/4] ^= 0x20
	if err := os.WriteFile(largest, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.run("check", "-o", "json")
	if r.code != exit.CheckFailed || !strings.Contains(r.out, filepath.Base(largest)) {
		t.Fatalf("%+v", r)
	}
	// Nothing of it is left: the store does not open, and says what to do.
	for _, table := range tables {
		if err := os.WriteFile(table, []byte("nothing"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.run("kv", "get", "key1"); r.code != exit.CheckFailed || !strings.Contains(r.err, "restore a dump") {
		t.Fatalf("%+v", r)
	}
}

// TestPurgeGivesSpaceBack: the files of a purged prefix do not stay as large as they were.
func TestPurgeGivesSpaceBack(t *testing.T) {
	w := newWorld(t)
	var sb strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&sb, "key%d\t%x\n", i, sha256.Sum256(fmt.Append(nil, i)))
	}
	w.stdin = sb.String()
	w.must("kv", "load", "-")
	size := func() (n uint64) {
		w.withStore(func(eng *engine.Engine, b *versioning.Bucket) {
			shard := b.Store().Shard()
			if err := shard.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var err error
			if n, err = dataSize(shard); err != nil {
				t.Fatal(err)
			}
		})
		return n
	}
	before := size()
	w.must("kv", "purge", "--prefix", "", "--yes")
	if after := size(); before < 50_000 || after > before/10 {
		t.Fatalf("%d bytes before, %d after", before, after)
	}
}

// TestBrokenPipe: a reader that goes away is no error.
func TestBrokenPipe(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.must("kv", "put", fmt.Sprint("key", i), strings.Repeat("v", 8<<10))
	}
	for _, args := range [][]string{{"kv", "scan"}, {"kv", "scan", "-o", "table"}, {"kv", "get", "key1"}, {"kv", "dump", "-"}, {"kv", "--help"}, {"version"}} {
		var out, errs bytes.Buffer
		a := w.app(&out, &errs)
		a.Out.Writer = brokenPipe{}
		if code := a.Run(t.Context(), args); code != exit.OK || errs.Len() > 0 {
			t.Errorf("%q: exit %d, %s", args, code, errs.String())
		}
	}
	// A full disk behind standard output is one.
	var errs bytes.Buffer
	a := w.app(nil, &errs)
	a.Out.Writer = failing{syscall.ENOSPC}
	if code := a.Run(t.Context(), []string{"kv", "get", "key1"}); code != exit.Failure || !strings.Contains(errs.String(), "no space") {
		t.Errorf("exit %d, %s", code, errs.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestInterrupted: what waits for a person or a pipe ends with the interruption, and changes nothing.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	w.must("kv", "put", "a", "1")
	for _, args := range [][]string{
		{"kv", "del", "--prefix", "a"}, {"kv", "put", "a", "-"}, {"kv", "cas", "a", "1", "-"}, {"keys", "decode", "-"}, {"kv", "load", "-"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var out, errs bytes.Buffer
		w.tty = true
		a := w.app(&out, &errs)
		w.tty = false
		silent, hold := io.Pipe()
		a.In.Reader = &cutReader{r: silent, cut: cancel}
		if code := a.Run(ctx, args); code != exit.Interrupted {
			t.Errorf("%q: exit %d, %s", args, code, errs.String())
		}
		cancel()
		hold.Close()
	}
	if got := w.must("kv", "history", "a", "-o", "raw", "--values"); got != "1\n" {
		t.Fatalf("%q", got)
	}
}

// TestScanInterrupted: the token that an interrupted scan prints goes on behind the last row.
func TestScanInterrupted(t *testing.T) {
	w := newWorld(t)
	for i := range 9 {
		w.must("kv", "put", fmt.Sprint("key", i), strings.Repeat("v", 20<<10))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs bytes.Buffer
	a := w.app(&out, &errs)
	a.Out.Writer = &cutWriter{w: &out, cut: cancel}
	code := a.Run(ctx, []string{"kv", "scan", "--keys-only", "-o", "raw"})
	if code == exit.OK {
		// All rows fit into the buffer; with values they do not.
		out.Reset()
		code = a.Run(ctx, []string{"kv", "scan"})
	}
	_, token, ok := strings.Cut(errs.String(), "--resume ")
	if code != exit.Interrupted || !ok {
		t.Fatalf("exit %d, %s", code, errs.String())
	}
	token, _, _ = strings.Cut(token, "\n")
	rest := w.must("kv", "scan", "--resume", token)
	if n := strings.Count(out.String()+rest, "\n"); n != 9 || strings.Count(rest, "\n") == 0 {
		t.Fatalf("%d rows in all, %d after the interruption", n, strings.Count(rest, "\n"))
	}
}

// cutWriter interrupts with its first write.
type cutWriter struct {
	w   io.Writer
	cut func()
}

func (c *cutWriter) Write(p []byte) (int, error) {
	c.cut()
	return c.w.Write(p)
}

// TestHostileSizes: the longest key and value are taken, one byte more is refused with a way out.
func TestHostileSizes(t *testing.T) {
	w := newWorld(t)
	longest := strings.Repeat("\xff", keys.MaxKeyBytes)
	w.must("kv", "put", longest, "v")
	if got := w.must("kv", "get", longest); got != "v" {
		t.Fatal(got)
	}
	if r := w.run("kv", "put", longest+"x", "v"); r.code != exit.Usage || !strings.Contains(r.err, "shorter key") {
		t.Errorf("%+v", r)
	}
	value := bytes.Repeat([]byte{0}, versioning.MaxValueBytes)
	file := w.file("value", value)
	w.must("kv", "put", "k", "@"+file)
	if got := w.must("kv", "get", "k"); len(got) != len(value) {
		t.Errorf("%d bytes", len(got))
	}
	w.file("value", append(value, 0))
	if r := w.run("kv", "put", "k", "@"+file); r.code != exit.Usage || !strings.Contains(r.err, "in pieces") {
		t.Errorf("%+v", r)
	}
	for _, key := range []string{"0x00", "0xff", "0x00ff00", "'\\0\\xff'", "b64:AP8A"} {
		w.must("kv", "put", key, "1")
		w.must("kv", "get", key)
	}
	w.must("check")
}

// TestWithoutPipe: what else went wrong is not hidden by a reader that went away.
func TestWithoutPipe(t *testing.T) {
	gone := &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
	other := errors.New("other")
	if err := withoutPipe(errors.Join(gone, nil, fmt.Errorf("flush: %w", gone))); err != nil {
		t.Error(err)
	}
	if err := withoutPipe(errors.Join(other, errors.Join(gone))); !errors.Is(err, other) || errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	if err := withoutPipe(other); err != other {
		t.Error(err)
	}
}

// TestClockBehind: a wall clock that was set back is explained, not worked around.
func TestClockBehind(t *testing.T) {
	w := newWorld(t)
	w.must("kv", "put", "a", "1")
	w.wall = w.wall.Add(-time.Hour)
	if r := w.run("kv", "put", "a", "2"); r.code != exit.Unavailable || !strings.Contains(r.err, "clock right") {
		t.Fatalf("%+v", r)
	}
}
