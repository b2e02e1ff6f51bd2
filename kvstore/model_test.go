package kvstore_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// modelBucket is a bucket as a plain Go program would keep it: all versions of each key, a tombstone as nil.
type modelBucket struct {
	id      uint64
	maxKeys int
	keys    map[string][]*string
}

// model is the whole store, and the answers of one session.
type model struct {
	buckets map[string]*modelBucket
	answers map[uint64]modelAnswer
}

type modelAnswer struct {
	req     *kvstorev1.PutRequest
	version uint32
	err     error
}

// put is what a put does.
func (b *modelBucket) put(key string, value string, ifVersion uint32) (uint32, error) {
	versions := b.keys[key]
	if ifVersion != 0 && int(ifVersion) != len(versions) {
		return 0, kverr.ErrRevisionMismatch
	}
	if len(versions) == 0 && b.maxKeys > 0 && len(b.keys) >= b.maxKeys {
		return 0, kverr.ErrQuota
	}
	b.keys[key] = append(versions, &value)
	return uint32(len(b.keys[key])), nil
}

// usage is what the bucket holds.
func (b *modelBucket) usage() (keys, versions, size uint64) {
	for key, all := range b.keys {
		keys++
		for _, v := range all {
			versions++
			size += uint64(len(key))
			if v != nil {
				size += uint64(len(*v))
			}
		}
	}
	return keys, versions, size
}

// entry is one command of a log.
type entry struct {
	data bool
	cmd  []byte
	ts   hlc.Timestamp
}

// TestModel does random operations on a store and on a plain model: puts with conditions, quotas and sessions, repetitions
// of sessions' writes, batches, deletions, purges, removal of buckets, reopenings. The answers must agree, and in the end
// everything that is there. Then the same commands go through fresh machines in groups of other sizes: the shards must be
// the same byte for byte. PLEIADES_KVSTORE_SEEDS says how many sequences (default 2) of PLEIADES_KVSTORE_STEPS operations
// (default 250) there are; TestModel/seed=N is always the same.
func TestModel(t *testing.T) {
	for seed := range uint64(envInt(t, "PLEIADES_KVSTORE_SEEDS", 2)) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runModel(t, seed) })
	}
}

func envInt(tb testing.TB, name string, def int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		tb.Fatalf("%s is %q, must be a number above 0", name, text)
	}
	return n
}

func runModel(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 22))
	r := newRig(t, &kvstore.Options{RemoveRecords: 8})
	m := &model{buckets: map[string]*modelBucket{"default": {id: 1, keys: map[string][]*string{}}}, answers: map[uint64]modelAnswer{}}
	var log []entry
	record := func() {
		r.store.Record(func(data bool, cmd *kvstorev1.Command, ts hlc.Timestamp) {
			b, err := cmd.MarshalVT()
			if err != nil {
				t.Error(err)
			}
			log = append(log, entry{data, b, ts})
		})
	}
	record()
	first := shardBytes(t, r.eng)
	session := r.session(maia)
	sequence := uint64(0)
	for step := range envInt(t, "PLEIADES_KVSTORE_STEPS", 250) {
		r.wall.Advance(time.Duration(rng.IntN(50)) * time.Millisecond)
		name := fmt.Sprint("b", rng.IntN(3))
		if rng.IntN(3) == 0 {
			name = "default"
		}
		b := m.buckets[name]
		key := fmt.Sprint("k", rng.IntN(6))
		where := fmt.Sprintf("seed %d, step %d, bucket %s, key %s", seed, step, name, key)
		switch action := rng.IntN(40); {
		case b == nil:
			maxKeys := rng.IntN(5)
			id := r.bucket(name, &kvstorev1.BucketSettings{MaxKeys: ptr(uint64(maxKeys))})
			m.buckets[name] = &modelBucket{id: id, maxKeys: maxKeys, keys: map[string][]*string{}}
		case action == 0:
			r.reopen()
			record()
		case action == 1 && name != "default":
			if p, err := r.store.DeleteBucket(t.Context(), nobody, &kvstorev1.DeleteBucketRequest{Name: name}, nil); err != nil || !p.Done {
				t.Fatalf("%s: %v, %v", where, p, err)
			}
			delete(m.buckets, name)
		case action < 8:
			m.write(t, r, where, b, key, rng, nil)
		case action < 24:
			sequence++
			m.write(t, r, where, b, key, rng, &kvstorev1.Session{Id: session, Sequence: sequence, LowWater: max(1, sequence-min(sequence, 5))})
		case action < 30:
			m.repeat(t, r, where, rng, sequence)
		case action < 33:
			m.remove(t, r, where, b, key, false)
		case action < 35:
			m.remove(t, r, where, b, key, true)
		default:
			m.batch(t, r, where, b, rng)
		}
	}
	// A refused command is done in memory only: end with one that is written.
	r.put(1, "k0", "the last")
	if _, err := m.buckets["default"].put("k0", "the last", 0); err != nil {
		t.Fatal(err)
	}
	m.compare(t, r)
	want := shardBytes(t, r.eng)
	r.close()
	replay(t, rng, first, log, want)
}

// write does one put on both sides.
func (m *model) write(t *testing.T, r *rig, where string, b *modelBucket, key string, rng *rand.Rand, session *kvstorev1.Session) {
	t.Helper()
	req := &kvstorev1.PutRequest{BucketId: b.id, Key: []byte(key), Value: bytes.Repeat([]byte("v"), rng.IntN(30)), Session: session}
	if rng.IntN(4) == 0 {
		req.IfVersion = uint32(1 + rng.IntN(4))
	}
	version, want := b.put(key, string(req.Value), req.IfVersion)
	if session != nil {
		m.answers[session.Sequence] = modelAnswer{req: req, version: version, err: want}
	}
	m.check(t, r, where, req, version, want, false)
}

func (m *model) check(t *testing.T, r *rig, where string, req *kvstorev1.PutRequest, version uint32, want error, repeated bool) {
	t.Helper()
	w, err := r.store.Put(t.Context(), maia, req)
	if !errors.Is(err, want) || err == nil && (w.Version != version || w.Repeated != repeated) {
		t.Fatalf("%s: %v, %v; want version %d, %v", where, w, err, version, want)
	}
}

// repeat sends an earlier write of the session again.
func (m *model) repeat(t *testing.T, r *rig, where string, rng *rand.Rand, sequence uint64) {
	t.Helper()
	if sequence == 0 {
		return
	}
	seq := 1 + rng.Uint64N(sequence)
	answer := m.answers[seq]
	if low := max(1, sequence-min(sequence, 5)); seq < low {
		if _, err := r.store.Put(t.Context(), maia, answer.req); !errors.Is(err, kverr.ErrSequence) {
			t.Fatalf("%s: write %d below %d: %v", where, seq, low, err)
		}
		return
	}
	m.check(t, r, where, answer.req, answer.version, answer.err, true)
}

// remove deletes or purges on both sides.
func (m *model) remove(t *testing.T, r *rig, where string, b *modelBucket, key string, purge bool) {
	t.Helper()
	versions := b.keys[key]
	var want, err error
	if purge {
		if len(versions) == 0 {
			want = kverr.ErrNotFound
		}
		delete(b.keys, key)
		_, err = r.store.Purge(t.Context(), nobody, &kvstorev1.PurgeRequest{BucketId: b.id, Key: []byte(key)})
	} else {
		if len(versions) == 0 || versions[len(versions)-1] == nil {
			want = kverr.ErrNotFound
		} else {
			b.keys[key] = append(versions, nil)
		}
		_, err = r.store.Delete(t.Context(), nobody, &kvstorev1.DeleteRequest{BucketId: b.id, Key: []byte(key)})
	}
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", where, err, want)
	}
}

// batch does several puts at once, all or none.
func (m *model) batch(t *testing.T, r *rig, where string, b *modelBucket, rng *rand.Rand) {
	t.Helper()
	try := &modelBucket{maxKeys: b.maxKeys, keys: maps.Clone(b.keys)}
	for key, versions := range try.keys {
		try.keys[key] = slices.Clone(versions)
	}
	req, want := &kvstorev1.BatchRequest{}, error(nil)
	for range 1 + rng.IntN(4) {
		put := &kvstorev1.PutRequest{BucketId: b.id, Key: []byte(fmt.Sprint("k", rng.IntN(6))), Value: []byte("batch"), IfVersion: uint32(rng.IntN(2) * rng.IntN(3))}
		if want == nil {
			_, want = try.put(string(put.Key), "batch", put.IfVersion)
		}
		req.Operations = append(req.Operations, &kvstorev1.Operation{Kind: &kvstorev1.Operation_Put{Put: put}})
	}
	_, err := r.store.Batch(t.Context(), nobody, req)
	if errors.Is(want, kverr.ErrQuota) { // a later operation may be refused before the quota is looked at
		if err == nil {
			t.Fatalf("%s: a batch over the quota was done", where)
		}
		return
	}
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", where, err, want)
	}
	if want == nil {
		b.keys = try.keys
	}
}

// compare reads everything.
func (m *model) compare(t *testing.T, r *rig) {
	t.Helper()
	names := 0
	for b, err := range r.store.ListBuckets(t.Context(), nobody, &kvstorev1.ListBucketsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		names++
		mine := m.buckets[b.Name]
		if mine == nil || mine.id != b.Id {
			t.Fatalf("bucket %v is not in the model", b)
		}
		keys, versions, size := mine.usage()
		if u := b.Usage; u.Keys != keys || u.Versions != versions || u.Bytes != size {
			t.Errorf("bucket %s counts %v, the model %d keys, %d versions, %d bytes", b.Name, u, keys, versions, size)
		}
		for key, all := range mine.keys {
			i := len(all)
			for v, err := range r.store.History(t.Context(), &kvstorev1.HistoryRequest{BucketId: b.Id, Key: []byte(key), Values: true}) {
				i--
				if err != nil || v.Tombstone != (all[i] == nil) || all[i] != nil && string(v.Value) != *all[i] {
					t.Fatalf("bucket %s key %s version %d: %v, %v", b.Name, key, i+1, v, err)
				}
			}
			if i != 0 {
				t.Errorf("bucket %s key %s: %d versions are missing", b.Name, key, i)
			}
		}
		if n, err := r.store.Count(t.Context(), &kvstorev1.ScanRequest{BucketId: b.Id, Deleted: true}); err != nil || n != keys {
			t.Errorf("bucket %s: %d keys, %v", b.Name, n, err)
		}
	}
	if names != len(m.buckets) {
		t.Errorf("%d buckets, the model has %d", names, len(m.buckets))
	}
}

// shardRows is all rows of one shard, in their order.
type shardRows [][2][]byte

// shardBytes reads both shards.
func shardBytes(t testing.TB, eng *engine.Engine) (out [2]shardRows) {
	t.Helper()
	for i, id := range []engine.ShardID{kvstore.CatalogShard, kvstore.DataShard} {
		shard, err := eng.Shard(id)
		if err != nil {
			t.Fatal(err)
		}
		it, err := shard.NewIterator(nil)
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			out[i] = append(out[i], [2][]byte{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// replay applies the commands to shards that hold first, in groups of random size, and compares with want.
func replay(t *testing.T, rng *rand.Rand, first [2]shardRows, log []entry, want [2]shardRows) {
	t.Helper()
	eng, err := engine.Open(t.TempDir(), smallEngine())
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	clock, err := hlc.NewClock(hlc.NewManual(begin).Options())
	if err != nil {
		t.Fatal(err)
	}
	var shards [2]*engine.Shard
	batch := eng.NewBatch()
	for i, id := range []engine.ShardID{kvstore.CatalogShard, kvstore.DataShard} {
		if shards[i], err = eng.EnsureShard(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for _, row := range first[i] {
			if err := batch.Put(shards[i], row[0], row[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := eng.Commit(t.Context(), batch, engine.NoSync); err != nil {
		t.Fatal(err)
	}
	batch.Close()
	catalog, data, done, err := kvstore.NewMachines(shards[0], shards[1], clock, &kvstore.Options{RemoveRecords: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, isData := range []bool{false, true} {
		var cmds []*kvstorev1.Command
		var stamps []hlc.Timestamp
		for _, e := range log {
			if e.data == isData {
				cmd := new(kvstorev1.Command)
				if err := cmd.UnmarshalVT(e.cmd); err != nil {
					t.Fatal(err)
				}
				cmds, stamps = append(cmds, cmd), append(stamps, e.ts)
			}
		}
		machine := catalog
		if isData {
			machine = data
		}
		if len(cmds) < 10 && isData {
			t.Fatalf("only %d commands", len(cmds))
		}
		for len(cmds) > 0 {
			n := min(len(cmds), 1+rng.IntN(40))
			k := applyGroup(t, eng, machine, cmds[:n], stamps[:n])
			cmds, stamps = cmds[k:], stamps[k:]
		}
	}
	got := shardBytes(t, eng)
	for i := range got {
		if d := firstDifference(got[i], want[i]); d != "" {
			t.Errorf("shard %d: %s", i, d)
		}
	}
}

func applyGroup(t *testing.T, eng *engine.Engine, machine *kvstore.Machine, cmds []*kvstorev1.Command, stamps []hlc.Timestamp) int {
	t.Helper()
	batch := eng.NewBatch()
	defer batch.Close()
	results, err := machine.Apply(batch, cmds, stamps)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Commit(context.Background(), batch, engine.NoSync); err != nil {
		t.Fatal(err)
	}
	machine.Committed()
	return len(results)
}

// firstDifference says where two shards differ.
func firstDifference(got, want shardRows) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("row %x is missing", want[i][0])
		case i >= len(want):
			return fmt.Sprintf("row %x is too many", got[i][0])
		case cmp.Or(bytes.Compare(got[i][0], want[i][0]), bytes.Compare(got[i][1], want[i][1])) != 0:
			return fmt.Sprintf("row %d is %x = %x, want %x = %x", i, got[i][0], got[i][1], want[i][0], want[i][1])
		}
	}
	return ""
}
