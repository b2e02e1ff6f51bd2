package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs a child of a crash test when the environment names one, and otherwise the tests,
// after which no goroutine may be left.
func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		run, ok := children[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such child:", name)
			os.Exit(2)
		}
		run(os.Args[len(os.Args)-1])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// smallOptions keeps a test's store small, so that flushes and compactions really happen in it.
func smallOptions() *Options {
	return &Options{
		BlockCacheBytes: 8 << 20, MemtableBytes: 16 << 20, ShardMemtableBytes: 1 << 20,
		MaxWALBytes: 8 << 20, ReserveBytes: -1, DiskFullPercent: 99, DiskFullFreeBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// openAt opens dir and closes it with the test; the close must find nothing leaked.
func openAt(t testing.TB, dir string, o *Options) *Engine {
	t.Helper()
	if o == nil {
		o = smallOptions()
	}
	e, err := Open(dir, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { closeClean(t, e) })
	return e
}

func openTemp(t testing.TB) *Engine { return openAt(t, t.TempDir(), nil) }

// closeClean closes e unless the test did; leaked handles fail the test.
func closeClean(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil && !(e.destroyedNow() && errors.Is(err, ErrClosed)) {
		t.Errorf("close: %v", err)
	}
}

func (e *Engine) destroyedNow() bool {
	select {
	case <-e.destroyed:
		return true
	default:
		return false
	}
}

func mustShard(t testing.TB, e *Engine, id ShardID) *Shard {
	t.Helper()
	s, err := e.EnsureShard(t.Context(), id)
	if err != nil {
		t.Fatalf("shard %d: %v", id, err)
	}
	return s
}

func mustPut(t testing.TB, e *Engine, s *Shard, mode CommitMode, kv ...string) {
	t.Helper()
	b := e.NewBatch()
	defer b.Close()
	for i := 0; i < len(kv); i += 2 {
		if err := b.Put(s, []byte(kv[i]), []byte(kv[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Commit(t.Context(), b, mode); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// wantGet checks one value; "" means that the key must be missing.
func wantGet(t testing.TB, s *Shard, key, want string) {
	t.Helper()
	got, err := s.Get(nil, []byte(key), nil)
	switch {
	case want == "" && errors.Is(err, ErrNotFound):
	case err != nil:
		t.Fatalf("get %q of %s: %v", key, s.describe(), err)
	case string(got) != want:
		t.Fatalf("get %q of %s: %q, want %q", key, s.describe(), got, want)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
