package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
)

// shardCounts are the numbers of shards that are measured, ascending: one store grows through them.
var shardCounts = []int{1, 100, 300, 500, 1000}

// shardWriters write at the same time, each put to a shard of its own choice.
const shardWriters = 64

// ShardResult is what a number of shards on one engine costs.
type ShardResult struct {
	Shards int `json:"shards"`
	// Create is the mean time of creating one shard, over the last tenth of those that led here.
	Create time.Duration `json:"create_ns"`
	// Open is how long opening a store with so many shards takes, after a clean close.
	Open time.Duration `json:"open_ns"`
	// RSSBytes is the process's resident memory after the unsynced writes.
	RSSBytes int64 `json:"rss_bytes"`
	// OpenRSSBytes is the resident memory that the shards cost right after opening, nothing read or written.
	OpenRSSBytes int64 `json:"open_rss_bytes"`
	// Sync and NoSync are the writes of 64 writers spread over all shards.
	Sync   Result `json:"sync"`
	NoSync Result `json:"nosync"`
}

// shardsRun grows one store to each of the numbers of shards.
func (r *storeRun) shardsRun(ctx context.Context, counts []int) (results []ShardResult, err error) {
	dir, err := os.MkdirTemp(r.spec.Dir, "pleiades-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: make a scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	dir = filepath.Join(dir, "store")
	opts := &engine.Options{MaxShards: slices.Max(counts) + 10}
	without, err := residentBytes()
	if err != nil {
		return nil, err
	}
	eng, err := engine.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	for _, n := range counts {
		res := ShardResult{Shards: n}
		if res.Create, err = r.growTo(ctx, eng, n); err != nil {
			return nil, err
		}
		if err := eng.Close(); err != nil {
			return nil, err
		}
		debug.FreeOSMemory()
		began := time.Now()
		reopened, err := engine.Open(dir, opts)
		if err != nil {
			return nil, err
		}
		eng = reopened
		res.Open = time.Since(began)
		if res.OpenRSSBytes, err = residentBytes(); err != nil {
			return nil, err
		}
		res.OpenRSSBytes -= without
		store := &spreadStore{eng: eng, seed: r.spec.Seed}
		for _, info := range eng.Shards() {
			shard, err := eng.Shard(info.ID)
			if err != nil {
				return nil, err
			}
			store.shards = append(store.shards, shard)
		}
		for _, sync := range []bool{false, true} {
			name := fmt.Sprintf("shards/%d/%s", n, map[bool]string{false: "nosync", true: "sync"}[sync])
			l := load{name: name, workers: shardWriters, warmup: r.spec.Warmup, duration: r.spec.Duration, step: r.putRandom(sync)}
			one, err := l.run(ctx, store, r.spec, r.values, r.note)
			if err != nil {
				return nil, err
			}
			if sync {
				res.Sync = one
				continue
			}
			res.NoSync = one
			if res.RSSBytes, err = residentBytes(); err != nil {
				return nil, err
			}
		}
		results = append(results, res)
	}
	return results, nil
}

// growTo creates shards until there are n and returns the mean time of the last tenth.
func (r *storeRun) growTo(ctx context.Context, eng *engine.Engine, n int) (time.Duration, error) {
	have := len(eng.Shards())
	tail := max((n-have)/10, 1)
	var began time.Time
	noted := time.Now()
	for i := have; i < n; i++ {
		if i == n-tail {
			began = time.Now()
		}
		if _, err := eng.CreateShard(ctx, engine.FirstUserShard+engine.ShardID(i)); err != nil {
			return 0, err
		}
		if r.note != nil && time.Since(noted) > tickEvery {
			noted = time.Now()
			r.note(Progress{Workload: fmt.Sprintf("shards/%d: creating", n), Share: float64(i+1) / float64(n)})
		}
	}
	return time.Since(began) / time.Duration(tail), nil
}

// spreadStore puts each pair into a random shard.
type spreadStore struct {
	eng    *engine.Engine
	shards []*engine.Shard
	seed   uint64
	opened uint64
}

func (s *spreadStore) Session() (Session, error) {
	s.opened++
	return &spreadSession{
		engineSession: engineSession{store: &engineStore{eng: s.eng}, batch: s.eng.NewBatch()},
		all:           s.shards, rng: rand.New(rand.NewPCG(s.seed, s.opened)),
	}, nil
}

func (s *spreadStore) Settle(context.Context) error { return nil }
func (s *spreadStore) Close() error                 { return nil }
func (s *spreadStore) Syncs() uint64                { return (&engineStore{eng: s.eng}).Syncs() }

type spreadSession struct {
	engineSession
	all []*engine.Shard
	rng *rand.Rand
}

func (s *spreadSession) Put(key, value []byte, sync bool) error {
	s.store.shard = s.all[s.rng.IntN(len(s.all))]
	return s.engineSession.Put(key, value, sync)
}

// residentBytes returns the process's resident memory as the kernel counts it.
func residentBytes() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("bench: read the resident memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("bench: /proc/self/status: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("%w: /proc/self/status has no VmRSS", ErrSpec)
}
