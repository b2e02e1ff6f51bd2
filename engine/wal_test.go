package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestColdShardsDoNotPinTheLog: a shard that is hardly written must not hold back every log behind its
// one unflushed row (rocksdb#662). Without Options.MaxWALBytes the logs of this test pass 24 MiB.
func TestColdShardsDoNotPinTheLog(t *testing.T) {
	dir := t.TempDir()
	o := smallOptions()
	o.MaxWALBytes, o.ShardMemtableBytes = 2<<20, 256<<10
	e := openAt(t, dir, o)
	var cold []*Shard
	for i := range 20 {
		s := mustShard(t, e, ShardID(2000+i))
		mustPut(t, e, s, NoSync, "cold", "row")
		cold = append(cold, s)
	}
	hot := mustShard(t, e, 1001)
	value := string(make([]byte, 64<<10))
	put := func(n int) {
		for range n {
			mustPut(t, e, hot, NoSync, fmt.Sprintf("%06d", e.commitCounts().batches), value)
		}
	}
	put(400) // 25 MiB
	// Flushes run beside the writes: give them some more to catch up with, which helps only if they come.
	total, logs := logBytes(t, dir)
	for more := 0; total > 4*o.MaxWALBytes && more < 2000; more += 50 {
		put(50)
		total, logs = logBytes(t, dir)
	}
	t.Logf("%d logs, %d KiB", logs, total>>10)
	if total > 4*o.MaxWALBytes {
		t.Fatalf("%d logs hold %d KiB, with a limit of %d KiB", logs, total>>10, o.MaxWALBytes>>10)
	}
	for _, s := range cold {
		wantGet(t, s, "cold", "row")
	}
}

// logBytes returns the size of the write-ahead logs in dir.
func logBytes(t *testing.T, dir string) (total int64, logs int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil { // it may be removed meanwhile, as it should
			total += st.Size()
			logs++
		}
	}
	return total, logs
}
