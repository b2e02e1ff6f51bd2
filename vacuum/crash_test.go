package vacuum_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// The crash test runs this test binary again, as a process that kills itself in the middle of a
// vacuum. It learns what to do from these variables.
const (
	crashDirEnv     = "PLEIADES_VACUUM_CRASH_DIR"
	crashBatchesEnv = "PLEIADES_VACUUM_CRASH_BATCHES"
)

var crashPolicy = vacuum.Policy{AllKeys: true, KeepNewest: 2, Deleted: true}

// crashChild is the process that is killed, if this is it. It kills itself with SIGKILL behind so
// many batches, the compaction counting as one more, and exits with 3 if it came to the end.
func crashChild() bool {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		return false
	}
	batches, err := strconv.Atoi(os.Getenv(crashBatchesEnv))
	if err != nil {
		panic(err)
	}
	_, _, store, err := openStore(dir, nil)
	if err != nil {
		panic(err)
	}
	b, err := store.Bucket(1)
	if err != nil {
		panic(err)
	}
	calls := 0
	_, err = vacuum.Run(context.Background(), b, crashPolicy, &vacuum.Options{
		BatchKeys: 7, Compact: vacuum.CompactAlways,
		Progress: func(vacuum.Report) {
			if calls++; calls > batches {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		},
	})
	fmt.Println("came to the end:", err)
	os.Exit(3)
	return true
}

// TestKillNine kills vacuums on one store at growing distances. After each kill the store is
// consistent, every key is untouched or done, and the last run finishes the work.
func TestKillNine(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	const n = 60
	// The child's clock is the machine's; so must be the one that writes.
	eng, clock, store, err := openStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeAll := func() {
		t.Helper()
		store.Close()
		if err := clock.Close(); err != nil {
			t.Fatal(err)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := store.Bucket(1)
	if err != nil {
		t.Fatal(err)
	}
	for k := range n {
		for v := range 6 {
			if _, err := b.Put(ctx, fmt.Appendf(nil, "k%02d", k), fmt.Append(nil, v), &versioning.PutOptions{NoSync: true}); err != nil {
				t.Fatal(err)
			}
		}
		if k%10 == 9 {
			if _, err := b.Delete(ctx, fmt.Appendf(nil, "k%02d", k), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeAll()

	lastDone := 0
	for _, batches := range []int{0, 1, 3, 2, 100} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashBatchesEnv+"="+strconv.Itoa(batches))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if killed := status.Signaled() && status.Signal() == syscall.SIGKILL; killed != (batches < 100) {
			t.Fatalf("behind %d batches: %v\n%s", batches, err, out)
		}
		if eng, clock, store, err = openStore(dir, nil); err != nil {
			t.Fatal(err)
		}
		done := survey(t, store, n)
		if done < lastDone {
			t.Errorf("behind %d batches %d keys are done, %d were before", batches, done, lastDone)
		}
		lastDone = done
		closeAll()
	}
	if lastDone != n {
		t.Errorf("%d of %d keys are done at the end", lastDone, n)
	}
}

// survey checks a store that a killed vacuum left, and returns how many keys are done.
func survey(t *testing.T, store *versioning.Store, n int) (done int) {
	t.Helper()
	ctx := context.Background()
	report, err := versioning.Check(ctx, store.Shard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("check: %v", f)
	}
	b, err := store.Bucket(1)
	if err != nil {
		t.Fatal(err)
	}
	for k := range n {
		key := fmt.Appendf(nil, "k%02d", k)
		d, err := b.Describe(ctx, key)
		switch {
		case k%10 == 9 && err != nil: // deleted, and purged
			done++
			continue
		case err != nil:
			t.Fatal(err)
		case k%10 != 9 && d.Oldest == 5:
			done++
		case d.Oldest != 1:
			t.Errorf("key %s is half done: %+v", key, d)
		}
		for v := d.Oldest; v <= 6; v++ {
			value, err := b.GetVersion(ctx, key, v)
			if err != nil || string(value.Data) != strconv.Itoa(v-1) {
				t.Errorf("key %s version %d: %q, %v", key, v, value.Data, err)
			}
		}
	}
	return done
}
