package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/linxGnu/grocksdb"
)

// BenchmarkCommit measures synced and unsynced puts of 128 bytes through the committer, and beside it
// goroutines that call RocksDB directly: the committer's reason to exist.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		for _, mode := range []CommitMode{Sync, NoSync} {
			name := map[CommitMode]string{Sync: "sync", NoSync: "nosync"}[mode]
			b.Run(fmt.Sprintf("path=committer/%s/writers=%d", name, writers), func(b *testing.B) {
				e := openAt(b, b.TempDir(), &Options{ReserveBytes: -1})
				s := mustShard(b, e, 1001)
				benchWriters(b, writers, func(key, value []byte) error {
					batch := e.NewBatch()
					defer batch.Close()
					if err := batch.Put(s, key, value); err != nil {
						return err
					}
					return e.Commit(context.Background(), batch, mode)
				})
			})
			b.Run(fmt.Sprintf("path=direct/%s/writers=%d", name, writers), func(b *testing.B) {
				e := openAt(b, b.TempDir(), &Options{ReserveBytes: -1})
				s := mustShard(b, e, 1001)
				wo := grocksdb.NewDefaultWriteOptions()
				wo.SetSync(mode == Sync)
				defer wo.Destroy()
				benchWriters(b, writers, func(key, value []byte) error {
					return e.db.PutCF(wo, s.cf, key, value)
				})
			})
		}
	}
}

func benchWriters(b *testing.B, writers int, put func(key, value []byte) error) {
	b.SetParallelism(max(writers/2, 1))
	value := make([]byte, 128)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		key := make([]byte, 0, 16)
		for pb.Next() {
			key = fmt.Appendf(key[:0], "%016d", n.Add(1)*7919%1_000_000_007)
			if err := put(key, value); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}
