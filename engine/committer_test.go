package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestCommitGroups: concurrent synced writers share syncs, and every one finds its own write.
func TestCommitGroups(t *testing.T) {
	const writers, each = 64, 50
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	before := e.commitCounts().syncs
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b := e.NewBatch()
				key := fmt.Appendf(nil, "%d/%d", w, i)
				err := b.Put(s, key, key)
				if err == nil {
					err = e.Commit(context.Background(), b, Sync)
				}
				b.Close()
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Get(nil, key, nil); err != nil || string(got) != string(key) {
					t.Errorf("read of an acknowledged write: %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	syncs := e.commitCounts().syncs - before
	if syncs == 0 || syncs > writers*each/2 {
		t.Fatalf("%d syncs for %d synced commits", syncs, writers*each)
	}
	t.Logf("%d syncs for %d synced commits", syncs, writers*each)
	if e.mark.seq != e.db.GetLatestSequenceNumber() {
		t.Fatalf("the mark says %d, the log %d", e.mark.seq, e.db.GetLatestSequenceNumber())
	}
}

func TestCommitContext(t *testing.T) {
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	b := e.NewBatch()
	defer b.Close()
	if err := b.Put(s, []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	// A context that has ended: either nothing was written, or the committer had taken it already.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.Commit(ctx, b, Sync)
	if err != nil {
		wantErr(t, err, ErrNotWritten)
		wantErr(t, err, context.Canceled)
		wantGet(t, s, "k", "")
	} else {
		wantGet(t, s, "k", "v")
	}
	if err := e.Commit(t.Context(), b, Sync); err != nil { // the batch is the caller's again
		t.Fatal(err)
	}
	wantGet(t, s, "k", "v")
	empty := e.NewBatch()
	defer empty.Close()
	for _, mode := range []CommitMode{NoSync, Sync} {
		if err := e.Commit(t.Context(), empty, mode); err != nil {
			t.Fatalf("an empty batch: %v", err)
		}
	}
}

// TestCommitWhileCommitterIsBusy holds the committer in a group whose answer nobody takes yet, so
// that the queue's bound and the context's rule can be seen.
func TestCommitWhileCommitterIsBusy(t *testing.T) {
	o := smallOptions()
	o.QueueBatches = 1
	e := openAt(t, t.TempDir(), o)
	s := mustShard(t, e, 1001)
	// A request with an unbuffered answer stops the committer until the test receives it.
	blocker := &request{b: e.NewBatch(), done: make(chan error)}
	defer blocker.b.Close()
	e.commits.queue <- blocker
	for blocker.state.Load() != requestTaken {
		select {
		case <-e.commits.stopped:
			t.Fatal("the committer stopped")
		default:
		}
	}
	type result struct {
		key string
		err error
	}
	results := make(chan result, 3)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 3 {
		key := fmt.Sprintf("k%d", i)
		go func() {
			b := e.NewBatch()
			defer b.Close()
			err := b.Put(s, []byte(key), []byte("v"))
			if err == nil {
				err = e.Commit(ctx, b, Sync)
			}
			results <- result{key, err}
		}()
	}
	for e.counts.queueFull.Load() < 2 { // one in the queue, two outside
		if len(results) > 0 {
			t.Fatalf("a commit ended early: %+v", <-results)
		}
	}
	cancel()
	for range 3 {
		r := <-results
		wantErr(t, r.err, ErrNotWritten)
		wantErr(t, r.err, context.Canceled)
	}
	if err := <-blocker.done; err != nil {
		t.Fatal(err)
	}
	mustPut(t, e, s, Sync, "after", "all")
	for i := range 3 {
		wantGet(t, s, fmt.Sprintf("k%d", i), "")
	}
}

// TestCommitLargeBatchGoesAlone: a batch above MergeBytes is written, by itself.
func TestCommitLargeBatchGoesAlone(t *testing.T) {
	o := smallOptions()
	o.MergeBytes = 4 << 10
	e := openAt(t, t.TempDir(), o)
	s := mustShard(t, e, 1001)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			mustPut(t, e, s, NoSync, fmt.Sprintf("big%d", i), strings.Repeat("x", 10<<10))
			mustPut(t, e, s, NoSync, fmt.Sprintf("small%d", i), "y")
		})
	}
	wg.Wait()
	for i := range 20 {
		wantGet(t, s, fmt.Sprintf("big%d", i), strings.Repeat("x", 10<<10))
		wantGet(t, s, fmt.Sprintf("small%d", i), "y")
	}
}

// TestCommitBatchMisuse: a batch that is being committed is refused to a second goroutine.
func TestCommitBatchMisuse(t *testing.T) {
	e := openTemp(t)
	b := e.NewBatch()
	defer b.Close()
	b.busy.Store(true)
	wantErr(t, e.Commit(t.Context(), b, Sync), ErrInvalid)
	b.busy.Store(false)
}

func TestCloseRefusesQueuedWrites(t *testing.T) {
	e, err := Open(t.TempDir(), smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	s := mustShard(t, e, 1001)
	var wg sync.WaitGroup
	var started sync.WaitGroup
	for w := range 16 {
		started.Add(1)
		wg.Go(func() {
			for n := 0; ; n++ {
				b := e.NewBatch()
				err := b.Put(s, fmt.Appendf(nil, "%d/%d", w, n), []byte("v"))
				if err == nil {
					err = e.Commit(context.Background(), b, Sync)
				}
				b.Close()
				if n == 0 {
					started.Done()
				}
				if err != nil {
					if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotWritten) {
						t.Errorf("after close: %v", err)
					}
					return
				}
			}
		})
	}
	started.Wait()
	// A batch that a writer holds at this moment is no leak: its writer is about to close it.
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	<-e.destroyed
	wantErr(t, e.Close(), ErrClosed)
}

// childFull writes until the write-ahead log hits the process's file-size limit: a write that fails
// in the middle, on a real file system. It prints the outcome of each kind of caller.
func childFull(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	o := smallOptions()
	o.MaxWALBytes, o.ShardMemtableBytes, o.MemtableBytes = 1<<30, 1<<30, 4<<30
	e, err := Open(dir, o)
	childCheck(err)
	s, err := e.EnsureShard(context.Background(), 1001)
	childCheck(err)
	limit := &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	childCheck(syscall.Setrlimit(syscall.RLIMIT_FSIZE, limit))
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				b := e.NewBatch()
				key := fmt.Appendf(nil, "%d/%06d", w, n)
				childCheck(b.Put(s, key, make([]byte, 3000)))
				err := e.Commit(context.Background(), b, Sync)
				b.Close()
				mu.Lock()
				switch {
				case err == nil:
					fmt.Printf("acked %s\n", key)
				case errors.Is(err, ErrUnknownOutcome):
					fmt.Printf("unknown %s\n", key)
				case errors.Is(err, ErrNotWritten):
					fmt.Printf("notwritten %s\n", key)
				default:
					fmt.Printf("other %v\n", err)
				}
				mu.Unlock()
				if err != nil && !errors.Is(err, ErrUnknownOutcome) {
					return
				}
			}
		})
	}
	wg.Wait()
	if e.Err() == nil {
		fmt.Println("other: the engine believes that it is healthy")
	}
	if err := e.Close(); err != nil {
		fmt.Println("other close:", err)
	}
}

// TestFailedWrite: when a merged write fails, its callers learn that the outcome is unknown, all
// later ones that nothing was written, and what was acknowledged is there after a reopening.
func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	cmd, out := startChild(t, "full", dir)
	count := map[string]int{}
	var acked, notWritten []string
	for out.Scan() {
		kind, key, _ := strings.Cut(out.Text(), " ")
		count[kind]++
		switch kind {
		case "acked":
			acked = append(acked, key)
		case "notwritten":
			notWritten = append(notWritten, key)
		case "unknown":
		default:
			t.Errorf("child: %s", out.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if count["acked"] < 50 || count["unknown"] == 0 || count["notwritten"] == 0 {
		t.Fatalf("outcomes %v: the failure did not happen as planned", count)
	}
	t.Logf("outcomes %v", count)
	e := openAt(t, dir, nil)
	s := mustShard(t, e, 1001)
	for _, key := range acked {
		if _, err := s.Get(nil, []byte(key), nil); err != nil {
			t.Fatalf("acknowledged %s: %v", key, err)
		}
	}
	for _, key := range notWritten {
		wantGet(t, s, key, "")
	}
}

// TestKillNine: acknowledged synced batches survive kill -9, each whole over its two shards.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	next := 0
	for round := range 5 {
		cmd, out := startChild(t, "writer", dir)
		last := -1
		for out.Scan() {
			n, err := strconv.Atoi(out.Text())
			if err != nil {
				t.Fatal(err)
			}
			if last = n; n >= next+50+37*round {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for out.Scan() {
			if n, err := strconv.Atoi(out.Text()); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
		e := openAt(t, dir, nil)
		a, b := mustShard(t, e, 1001), mustShard(t, e, 1002)
		for n := 0; n <= last; n++ {
			key := fmt.Sprintf("%09d", n)
			wantGet(t, a, key, key)
			wantGet(t, b, key, key+string(make([]byte, n%5000)))
		}
		// The batch behind the last acknowledged one is in both shards or in none.
		key := fmt.Sprintf("%09d", last+1)
		_, errA := a.Get(nil, []byte(key), nil)
		_, errB := b.Get(nil, []byte(key), nil)
		if (errA == nil) != (errB == nil) {
			t.Fatalf("batch %d is half there: %v, %v", last+1, errA, errB)
		}
		next = last + 1
		closeClean(t, e)
	}
}

// TestFullDisk: writes are refused before the disk is full, reads and reclaiming writes go on, and
// service resumes by itself.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "size=64m")
	o := smallOptions()
	o.DiskFullPercent, o.DiskFullFreeBytes, o.ReserveBytes = 80, 32<<20, 2<<20
	o.ShardMemtableBytes = 64 << 10
	e := openAt(t, dir, o)
	s := mustShard(t, e, 1001)
	mustPut(t, e, s, Sync, "k", "v")
	hog, err := os.Create(dir + "/hog")
	if err != nil {
		t.Fatal(err)
	}
	defer hog.Close()
	free, _, err := diskSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(hog.Fd()), 0, 0, int64(free-1<<20)); err != nil {
		t.Fatal(err)
	}
	e.disk.nextLook.Store(0)
	put := func(mode CommitMode) error {
		b := e.NewBatch()
		defer b.Close()
		if err := b.Put(s, []byte("k"), []byte("w")); err != nil {
			return err
		}
		return e.Commit(t.Context(), b, mode)
	}
	wantErr(t, put(Sync), ErrDiskFull)
	wantErr(t, e.Health().DiskFull, ErrDiskFull)
	_, err = e.CreateShard(t.Context(), 1002)
	wantErr(t, err, ErrDiskFull)
	wantGet(t, s, "k", "v")
	if err := put(Sync | Reclaim); err != nil {
		t.Fatalf("a write that frees space: %v", err)
	}
	if _, err := os.Stat(dir + "/" + reserveFileName); err == nil {
		t.Fatal("the reserve was not given up")
	}
	if err := os.Remove(dir + "/hog"); err != nil {
		t.Fatal(err)
	}
	if err := hog.Truncate(0); err != nil {
		t.Fatal(err)
	}
	e.disk.nextLook.Store(0)
	if err := put(Sync); err != nil {
		t.Fatalf("after space returned: %v", err)
	}
	if h := e.Health(); h.DiskFull != nil || h.Err != nil {
		t.Fatalf("health %+v", h)
	}
}

// TestWatch drives the watchdog through a stall in virtual time.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{dir: "d", log: smallOptions().Logger}
		e.commits = &committer{e: e, start: time.Now()}
		var stalls, recoveries atomic.Int64
		o := &WatchOptions{OnStall: func(time.Duration) { stalls.Add(1) }, OnRecover: func() { recoveries.Add(1) }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Watch(ctx, o) }()
		age := func(begin bool) {
			if begin {
				e.commits.syncStart.Store(int64(time.Since(e.commits.start)))
			} else {
				e.commits.syncStart.Store(0)
			}
		}
		time.Sleep(time.Second) // virtual
		age(true)
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if stalls.Load() != 0 {
			t.Fatal("stall reported too early")
		}
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		if stalls.Load() != 1 {
			t.Fatalf("%d stalls reported", stalls.Load())
		}
		age(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if recoveries.Load() != 1 {
			t.Fatalf("%d recoveries reported", recoveries.Load())
		}
		age(true)
		time.Sleep(11 * time.Second)
		wantErr(t, <-done, ErrStalled)
		age(false)
		go func() { done <- e.Watch(ctx, o) }()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
