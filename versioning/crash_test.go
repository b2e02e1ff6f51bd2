package versioning_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

const (
	crashEnv     = "PLEIADES_VERSIONING_CRASH_DIR"
	crashFromEnv = "PLEIADES_VERSIONING_CRASH_FROM"
	crashWriters = 6
)

// crashChild writes until it is killed. Each writer counts up i and puts it into its own key, into a key that all
// share, and then both halves of a pair in one batch; what was acknowledged is printed.
func crashChild(dir string) {
	ctx := context.Background()
	from, err := strconv.Atoi(os.Getenv(crashFromEnv))
	must(err)
	eng, err := engine.Open(dir, smallEngine())
	must(err)
	shard, err := eng.EnsureShard(ctx, engine.FirstUserShard)
	must(err)
	clock, err := versioning.NewClock(eng, &hlc.Options{AcceptBound: true})
	must(err)
	store, err := versioning.Open(shard, clock, nil)
	must(err)
	b, err := store.Bucket(1)
	must(err)
	must(b.SetSettings(ctx, versioning.Settings{MaxVersions: 20, Rollover: versioning.Relabel}))
	var wg sync.WaitGroup
	for w := range crashWriters {
		wg.Go(func() {
			for i := from; ; i++ {
				own, err := b.Put(ctx, fmt.Appendf(nil, "own %d", w), fmt.Append(nil, i), nil)
				must(err)
				_, err = b.Put(ctx, []byte("shared"), fmt.Append(nil, i), nil)
				must(err)
				batch := store.NewBatch()
				for _, half := range []string{"left", "right"} {
					must(batch.Put(b, fmt.Appendf(nil, "%s %d", half, w), fmt.Append(nil, i), nil))
				}
				_, err = batch.Commit(ctx, nil)
				must(err)
				if _, err := fmt.Printf("ack %d %d %s\n", w, i, own.Revision); err != nil {
					log.Fatal(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestKilledWhileWriting kills a writing process again and again: what it acknowledged is there, no
// batch is there in half, every invariant holds, and revisions grow over the restarts.
func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	acked := make([]known, crashWriters)
	var highest hlc.Timestamp
	for round := range 4 {
		child := exec.Command(os.Args[0])
		from := 1_000_000*round + 1
		child.Env = append(os.Environ(), crashEnv+"="+dir, crashFromEnv+"="+strconv.Itoa(from))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		first := highest
		for n := 0; lines.Scan(); n++ {
			var w, i int
			var revision string
			if _, err := fmt.Sscanf(lines.Text(), "ack %d %d %s", &w, &i, &revision); err != nil {
				break // the kill cut the line
			}
			ts, err := hlc.ParseTimestamp(revision)
			if err != nil {
				break
			}
			if !first.Less(ts) {
				t.Errorf("round %d: revision %s is not above %s of the round before", round, ts, first)
			}
			if highest.Less(ts) {
				highest = ts
			}
			acked[w] = known{own: i, pair: i}
			if n == 60 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("round %d: the child ended by itself: %v", round, err)
		}
		afterCrash(t, dir, acked, from)
	}
}

// known is the last number of a writer that is known to be on disk: in its own key, and in its pair.
type known struct{ own, pair int }

// afterCrash opens what the killed process left. Its writers began with from. What is found is what the next crash must
// leave.
func afterCrash(t *testing.T, dir string, acked []known, from int) {
	t.Helper()
	r := &rig{tb: t, dir: dir, wall: hlc.NewManual(start)}
	eng, err := engine.Open(dir, smallEngine())
	if err != nil {
		t.Fatal(err)
	}
	r.eng = eng
	shard, err := eng.Shard(engine.FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	if r.clock, err = versioning.NewClock(eng, &hlc.Options{AcceptBound: true}); err != nil {
		t.Fatal(err)
	}
	if r.store, err = versioning.Open(shard, r.clock, nil); err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.check()
	b := r.bucket(1)
	read := func(format string, args ...any) int {
		v, err := b.Get(t.Context(), fmt.Appendf(nil, format, args...))
		if errors.Is(err, versioning.ErrNotFound) {
			return 0
		}
		var n int
		if _, scanErr := fmt.Sscan(string(v.Data), &n); err != nil || scanErr != nil {
			t.Fatal(err, scanErr)
		}
		return n
	}
	for w, want := range acked {
		own, left, right := read("own %d", w), read("left %d", w), read("right %d", w)
		// The write behind the last acknowledged one may be there or not.
		possible := func(n, known int) bool { return n == known || n == known+1 || n == from }
		if !possible(own, want.own) || !possible(left, want.pair) || left != right {
			t.Errorf("writer %d: %d and the pair %d were there or acknowledged; found %d, and the pair %d and %d",
				w, want.own, want.pair, own, left, right)
		}
		acked[w] = known{own: own, pair: left}
	}
}
