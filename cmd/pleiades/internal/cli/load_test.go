package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

// input makes n records of few keys, so that most are later versions of an earlier key.
func input(n int, seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "{\"key\":\"k%d\",\"value\":\"%d\"}\n", rng.IntN(n/4+1), i)
	}
	return sb.String()
}

// contents is the whole history of a store, without times.
func (w *world) contents() string {
	w.t.Helper()
	var sb strings.Builder
	for _, key := range strings.Fields(w.must("kv", "scan", "--keys-only", "-o", "raw")) {
		fmt.Fprintf(&sb, "%s: %q\n", key, w.must("kv", "history", key, "--values", "-o", "raw"))
	}
	return sb.String()
}

// cutReader interrupts the run that reads it once n bytes have gone by.
type cutReader struct {
	r    io.Reader
	left int
	cut  func()
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.cut()
		return 0, context.Canceled
	}
	n, err := c.r.Read(p[:min(len(p), c.left, 700)])
	c.left -= n
	return n, err
}

// TestLoadConverges interrupts a load again and again at random places; the store that comes out has exactly
// the history of one uninterrupted run, although most keys occur several times. Without the progress record
// keys have too many versions.
func TestLoadConverges(t *testing.T) {
	in := input(400, 7)
	clean := newWorld(t)
	clean.stdin = in
	clean.must("kv", "load", "-", "--batch", "16")
	want := clean.contents()

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t)
	interrupted := 0
	for run := 0; ; run++ {
		if run > 200 {
			t.Fatal("it never ends")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var out, errs bytes.Buffer
		a := w.app(&out, &errs)
		left := len(in) + 1
		if run < 12 {
			left = rng.IntN(len(in))
		}
		a.In.Reader = &cutReader{r: strings.NewReader(in), left: left, cut: cancel}
		w.wall = w.wall.Add(time.Second)
		code := a.Run(ctx, []string{"kv", "load", "-", "--batch", fmt.Sprint(1 + rng.IntN(40))})
		cancel()
		if code == exit.OK {
			break
		}
		if code != exit.Interrupted {
			t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
		}
		interrupted++
	}
	if interrupted < 3 {
		t.Fatalf("interrupted only %d times", interrupted)
	}
	if got := w.contents(); got != want {
		t.Fatalf("after %d interruptions:\n%s\nwant\n%s", interrupted, got, want)
	}
	// The note about the progress is gone: the same input is a new load.
	w.stdin = in
	if r := w.run("kv", "load", "-"); r.code != exit.OK || !strings.HasPrefix(r.out, "loaded 400, ") || r.err != "" {
		t.Fatalf("%+v", r)
	}
}

// TestInterruptFinishesTheBatch: what was read before an interruption is committed, however large the batch could
// have become.
func TestInterruptFinishesTheBatch(t *testing.T) {
	in := input(100, 5)
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs bytes.Buffer
	a := w.app(&out, &errs)
	a.In.Reader = &cutReader{r: strings.NewReader(in), left: len(in), cut: cancel}
	if code := a.Run(ctx, []string{"kv", "load", "-", "--batch", "1000"}); code != exit.Interrupted || out.String() != "loaded 100, unchanged 0, bad 0\n" {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	if got := w.must("kv", "stat", "-o", "jsonl"); !strings.Contains(got, `"versions":100,`) {
		t.Fatal(got)
	}
}

// TestLoadFromPipeStartsOver: what was read of a pipe to compare it with an earlier run is not lost when it
// turns out to be something else.
func TestLoadFromPipeStartsOver(t *testing.T) {
	w := newWorld(t)
	w.stdin = input(50, 1) + "bad\n"
	if r := w.run("kv", "load", "-"); r.code != exit.Failure {
		t.Fatalf("%+v", r)
	}
	w.stdin = strings.ReplaceAll(input(50, 1), "k", "K")
	w.stdin = strings.ReplaceAll(w.stdin, `"Key"`, `"key"`)
	r := w.run("kv", "load", "-")
	if r.code != exit.OK || !strings.HasPrefix(r.out, "loaded 50, ") || !strings.Contains(r.err, "something else") {
		t.Fatalf("%+v", r)
	}
	// And a shorter one is something else too.
	w.stdin = input(50, 1) + "bad\n"
	w.run("kv", "load", "-")
	w.stdin = input(50, 1)[:400]
	w.stdin = w.stdin[:strings.LastIndex(w.stdin, "\n")+1]
	if r := w.run("kv", "load", "-"); r.code != exit.OK || strings.Contains(r.out, "earlier") {
		t.Fatalf("%+v", r)
	}
}

func TestLoadProgressCodec(t *testing.T) {
	p := &loadProgress{records: 1<<40 + 1, at: time.Unix(5, 6), digest: sha256.Sum256([]byte("x"))}
	b := p.append(nil)
	got, err := parseProgress(b)
	if err != nil || got.records != p.records || !got.at.Equal(p.at) || got.digest != p.digest {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range len(b) {
		if _, err := parseProgress(b[:n]); !errors.Is(err, base.ErrCorruption) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	b[0] = 2
	if _, err := parseProgress(b); !errors.Is(err, base.ErrVersion) {
		t.Fatal(err)
	}
}

func FuzzParseProgress(f *testing.F) {
	f.Add((&loadProgress{records: 3, at: time.Unix(1, 2)}).append(nil))
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseProgress(b)
		if err == nil && !bytes.Equal(p.append(nil), b) {
			t.Fatalf("%x has a second form", b)
		}
		if err != nil && !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
			t.Fatal(err)
		}
	})
}

// TestProgressIsBounded: loads that nobody finishes do not fill the store, and one that cannot be read does
// not stop the next load.
func TestProgressIsBounded(t *testing.T) {
	w := newWorld(t)
	w.withStore(func(eng *engine.Engine, _ *versioning.Bucket) {
		b := eng.NewBatch()
		defer b.Close()
		for i := range maxProgress {
			p := &loadProgress{at: w.wall.Add(time.Duration(i-1000) * time.Hour)}
			key := binary.BigEndian.AppendUint64([]byte{progressNamespace}, uint64(i))
			if err := b.Put(eng.Local(), key, p.append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := eng.Commit(t.Context(), b, engine.Sync); err != nil {
			t.Fatal(err)
		}
	})
	w.stdin = input(5, 1) + "bad\n"
	w.run("kv", "load", "-")
	var key []byte
	count := func() (n int, oldest bool) {
		w.withStore(func(eng *engine.Engine, _ *versioning.Bucket) {
			it, err := eng.Local().NewIterator(&engine.IterOptions{Lower: []byte{progressNamespace}, Upper: []byte{progressNamespace + 1}})
			if err != nil {
				t.Fatal(err)
			}
			for ok := it.First(); ok; ok = it.Next() {
				n++
				oldest = oldest || bytes.Equal(it.Key(), binary.BigEndian.AppendUint64([]byte{progressNamespace}, 0))
				if len(it.Key()) > 9 {
					key = bytes.Clone(it.Key())
				}
			}
			if err := it.Close(); err != nil {
				t.Fatal(err)
			}
		})
		return n, oldest
	}
	if n, oldest := count(); n != maxProgress || oldest || key == nil {
		t.Fatalf("%d are remembered, the oldest among them: %t", n, oldest)
	}
	w.withStore(func(eng *engine.Engine, _ *versioning.Bucket) {
		b := eng.NewBatch()
		defer b.Close()
		if err := errors.Join(b.Put(eng.Local(), key, []byte{9}), eng.Commit(t.Context(), b, engine.Sync)); err != nil {
			t.Fatal(err)
		}
	})
	w.stdin = input(5, 1)
	if r := w.run("kv", "load", "-"); r.code != exit.OK || !strings.HasPrefix(r.out, "loaded 5,") || !strings.Contains(r.err, "cannot be read") {
		t.Fatalf("%+v", r)
	}
}

// TestLoadManyLargeOldValues: a batch becomes too large by the old values that it moves. Its records are
// not to blame, wherever among their writes the limit is met, and a bad one is reported once.
func TestLoadManyLargeOldValues(t *testing.T) {
	w := newWorld(t)
	large := w.file("large", make([]byte, 15<<20))
	input := "no tab\n"
	for i := range 6 {
		w.must("kv", "put", fmt.Sprintf("k%d", i), "@"+large)
		input += fmt.Sprintf("k%d\tsmall\n", i)
	}
	r := w.run("kv", "load", "--format", "tsv", "--on-error", "skip", w.file("in", []byte(input)))
	if r.code != exit.OK || r.out != "loaded 6, unchanged 0, bad 1 (line 1)\n" {
		t.Fatal(w.show(r))
	}
	for i := range 6 {
		if got := w.must("kv", "get", fmt.Sprintf("k%d", i), "-o", "raw"); got != "small" {
			t.Fatalf("k%d holds %d bytes", i, len(got))
		}
	}
}

// TestLoadTooLargeForABatch: under cascade one put rewrites the whole history. A key whose history does not fit
// into a batch of the engine is a bad record, and its neighbours are loaded.
func TestLoadTooLargeForABatch(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 80 MiB")
	}
	w := newWorld(t)
	value := bytes.Repeat([]byte{'x'}, 320<<10)
	w.withStore(func(_ *engine.Engine, b *versioning.Bucket) {
		for range versioning.MaxVersions {
			if _, err := b.Put(t.Context(), []byte("big"), value, &versioning.PutOptions{NoSync: true}); err != nil {
				t.Fatal(err)
			}
		}
	})
	w.must("bucket", "set", "--rollover", "cascade")
	w.stdin = "a\t1\nbig\t2\nc\t3\n"
	r := w.run("kv", "load", "-", "--on-error", "skip")
	if r.code != exit.OK || r.out != "loaded 2, unchanged 0, bad 1 (line 2)\n" || !strings.Contains(r.err, "too large") {
		t.Fatalf("%+v", r)
	}
	if got := w.must("kv", "get", "a") + w.must("kv", "get", "c"); got != "13" {
		t.Fatal(got)
	}
}

// TestLoadLeavesNothing: an input that cannot be loaded does not make a store.
func TestLoadLeavesNothing(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{"kv", "load", w.file("prose", []byte("hello\n"))},
		{"kv", "load", w.file("packed", []byte{0x1f, 0x8b, 8})},
		{"kv", "load", w.file("dump", []byte("PLDUMP"))},
		{"kv", "load", w.dir},
		{"kv", "load", "-"},
	} {
		w.stdin = "prose\n"
		if r := w.run(args...); r.code == exit.OK || r.out != "" {
			t.Errorf("%q: %+v", args, r)
		}
		if _, err := os.Stat(w.env["PLEIADES_DIR"]); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%q made a store: %v", args, err)
		}
	}
}

// TestLoadShowsProgress: a bar on a terminal, on standard error, gone at the end; nothing when asked to be quiet.
func TestLoadShowsProgress(t *testing.T) {
	w := newWorld(t)
	file := w.file("in.jsonl", []byte(input(400, 3)))
	load := func(tty bool, args ...string) string {
		var out, errs bytes.Buffer
		w.tty = tty
		a := w.app(&out, &errs)
		a.Wall = func() time.Time { // a slow machine
			w.wall = w.wall.Add(20 * time.Millisecond)
			return w.wall
		}
		if code := a.Run(t.Context(), append([]string{"kv", "load", file}, args...)); code != exit.OK || !strings.HasPrefix(out.String(), "loaded 400,") {
			t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
		}
		return errs.String()
	}
	got := load(true)
	if !strings.Contains(got, "\r\x1b[Kloading [") || !strings.Contains(got, "] 100%") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("%q", got)
	}
	if got := load(true, "-q") + load(false); got != "" {
		t.Errorf("%q", got)
	}
}

// TestLoadWaitsNoLonger: a load that waits for input which never comes ends with its time limit.
func TestLoadWaitsNoLonger(t *testing.T) {
	w := newWorld(t)
	silent, hold := io.Pipe()
	defer hold.Close()
	var out, errs bytes.Buffer
	a := w.app(&out, &errs)
	a.In.Reader = silent
	if code := a.Run(t.Context(), []string{"kv", "load", "-", "--format", "tsv", "--timeout", "20ms"}); code != exit.Unavailable {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	if !strings.Contains(errs.String(), "longer --timeout") {
		t.Fatal(errs.String())
	}
}

// TestManyBadLines: however many there are, the report stays short and the memory bounded.
func TestManyBadLines(t *testing.T) {
	w := newWorld(t)
	w.stdin = strings.Repeat("no tab\n", 3000) + "k\tv\n"
	r := w.run("kv", "load", "-", "--format", "tsv", "--on-error", "skip")
	if r.code != exit.OK || len(r.out) > 200 || !strings.HasPrefix(r.out, "loaded 1, unchanged 0, bad 3000 (lines 1, 2, ") || strings.Count(r.err, "\n") != shownErrors+1 {
		t.Fatalf("%+v", r)
	}
	r = w.run("kv", "load", "-", "--format", "tsv", "--on-error", "skip", "-o", "jsonl", "-q")
	if r.code != exit.OK || strings.Count(r.out, ",") > maxBadLines+20 || !strings.Contains(r.out, `"bad":3000,`) || r.err != "" {
		t.Fatalf("%+v", r)
	}
}
