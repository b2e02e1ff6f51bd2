package kvstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/versioning"
)

// BenchmarkPut compares synced puts of new keys through a Store, alone and with sessions, with those of a
// versioning.Bucket under it: what commands, counters and quotas cost.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		for _, path := range []string{"versioning", "kvstore", "kvstore-session"} {
			b.Run(fmt.Sprintf("writers=%d/path=%s", writers, path), func(b *testing.B) { benchmarkPut(b, path, writers) })
		}
	}
}

func benchmarkPut(b *testing.B, path string, writers int) {
	eng, err := engine.Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer eng.Close()
	clock, err := versioning.NewClock(eng, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer clock.Close()
	put, done := putter(b, path, eng, clock)
	defer done()
	value := make([]byte, 128)
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime(b)
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			write := put()
			var key [16]byte
			for {
				i := next.Add(1)
				if i > uint64(b.N) {
					return
				}
				binary.BigEndian.PutUint64(key[:], i*0x9E3779B97F4A7C15)
				binary.BigEndian.PutUint64(key[8:], i)
				if err := write(key[:], value); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what the process used of the processors, the system's part included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// putter returns what makes a writer, for one path, and what ends it.
func putter(b *testing.B, path string, eng *engine.Engine, clock *hlc.Clock) (func() func(key, value []byte) error, func()) {
	b.Helper()
	ctx := context.Background()
	if path == "versioning" {
		shard, err := eng.EnsureShard(ctx, engine.FirstUserShard)
		if err != nil {
			b.Fatal(err)
		}
		store, err := versioning.Open(shard, clock, nil)
		if err != nil {
			b.Fatal(err)
		}
		bucket, err := store.Bucket(1)
		if err != nil {
			b.Fatal(err)
		}
		return func() func(key, value []byte) error {
			return func(key, value []byte) error {
				_, err := bucket.Put(ctx, key, value, nil)
				return err
			}
		}, store.Close
	}
	store, err := kvstore.Open(eng, clock, nil)
	if err != nil {
		b.Fatal(err)
	}
	caller := kvstore.Caller{Name: "bench", Role: kvstore.RoleClient}
	return func() func(key, value []byte) error {
			var session *kvstorev1.Session
			if path == "kvstore-session" {
				s, err := store.OpenSession(ctx, caller)
				if err != nil {
					b.Error(err)
				}
				session = &kvstorev1.Session{Id: s.Id}
			}
			return func(key, value []byte) error {
				if session != nil {
					session.Sequence++
					session.LowWater = session.Sequence
				}
				_, err := store.Put(ctx, caller, &kvstorev1.PutRequest{Key: key, Value: value, Session: session})
				return err
			}
		}, func() {
			if err := store.Close(); err != nil {
				b.Error(err)
			}
		}
}
