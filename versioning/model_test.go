package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// modelRun drives one bucket and its model with one sequence of operations.
type modelRun struct {
	t     *testing.T
	r     *rig
	rng   *rand.Rand
	id    keys.BucketID
	m     *model
	kinds []versioning.Rollover
	names []string
	// times are timestamps worth asking for.
	times []hlc.Timestamp
	log   []string
}

func (x *modelRun) bucket() *versioning.Bucket { return x.r.bucket(x.id) }

func (x *modelRun) fatalf(format string, args ...any) {
	x.t.Helper()
	for _, line := range x.log[max(0, len(x.log)-40):] {
		x.t.Log(line)
	}
	x.t.Fatalf("bucket %d: "+format, append([]any{x.id}, args...)...)
}

var modelLimits = []int{1, 2, 3, 5, 10, 17, 40, 254, 255}

// randomOp makes an operation on the state m.
func (x *modelRun) randomOp(m *model) modelOp {
	rng := x.rng
	op := modelOp{kind: versioning.OpPut, key: x.names[rng.IntN(len(x.names))]}
	switch p := rng.IntN(100); {
	case p < 62:
		op.data = fmt.Sprintf("%d.%0*d", rng.IntN(1000), rng.IntN(30), 7)
		if rng.IntN(200) == 0 {
			op.data += string(make([]byte, 5000))
		}
		op.ifAbsent = rng.IntN(8) == 0
		if rng.IntN(5) == 0 {
			op.expires = x.r.wall.Now().Add(time.Duration(rng.IntN(3000)-200) * time.Millisecond)
		}
		if rng.IntN(6) == 0 {
			op.vacuumable = new(rng.IntN(2) == 0)
		}
	case p < 74:
		op.kind = versioning.OpDelete
	case p < 78:
		op.kind = versioning.OpPurge
	case p < 84:
		op.kind, op.vacuumable = versioning.OpSetVacuumable, new(rng.IntN(2) == 0)
	case p < 94:
		op.kind, op.oldest = versioning.OpDropVersions, 1+rng.IntN(255)
		if k := m.keys[op.key]; k.exists() && rng.IntN(4) > 0 {
			op.oldest = max(1, min(255, k.oldest+rng.IntN(len(k.versions)+2)))
		}
	default:
		op.kind = versioning.OpSetSettings
		op.settings = versioning.Settings{MaxVersions: modelLimits[rng.IntN(len(modelLimits))], Rollover: x.kinds[rng.IntN(len(x.kinds))]}
	}
	if op.kind != versioning.OpSetSettings && rng.IntN(6) == 0 {
		op.revision = []string{"right", "right", "wrong", "none"}[rng.IntN(4)]
	}
	return op
}

func (op modelOp) String() string {
	return fmt.Sprintf("%v %q %.20q absent=%t rev=%s oldest=%d %d/%v", op.kind, op.key, op.data, op.ifAbsent, op.revision, op.oldest, op.settings.MaxVersions, op.settings.Rollover)
}

// real makes the operation of the store.
func (x *modelRun) real(op *modelOp, m *model) versioning.Op {
	out := versioning.Op{
		Kind: op.kind, Bucket: x.id, Key: []byte(op.key), Value: []byte(op.data), IfAbsent: op.ifAbsent,
		Vacuumable: op.vacuumable, Oldest: op.oldest, Settings: op.settings,
	}
	if op.kind == versioning.OpSetSettings {
		out.Key, out.Value = nil, nil
	}
	if !op.expires.IsZero() {
		out.ExpiresWallNanos = op.expires.UnixNano()
	}
	switch op.revision {
	case "right":
		out.IfRevision = new(hlc.Timestamp)
		if k := m.keys[op.key]; k.exists() {
			*out.IfRevision = k.revision
		}
	case "wrong":
		out.IfRevision = &hlc.Timestamp{WallNanos: 1, Logical: 1}
	case "none":
		out.IfRevision = new(hlc.Timestamp)
	}
	return out
}

// single does one operation through the bucket's methods.
func (x *modelRun) single(op modelOp) {
	ctx, b, real := context.Background(), x.bucket(), x.real(&op, x.m)
	key := []byte(op.key)
	o := &versioning.WriteOptions{IfRevision: real.IfRevision, NoSync: true}
	var res versioning.WriteResult
	var err error
	switch op.kind {
	case versioning.OpPut:
		res, err = b.Put(ctx, key, real.Value, &versioning.PutOptions{
			IfRevision: real.IfRevision, IfAbsent: op.ifAbsent, ExpireAt: op.expires, Vacuumable: op.vacuumable, NoSync: true,
		})
	case versioning.OpDelete:
		res, err = b.Delete(ctx, key, o)
	case versioning.OpPurge:
		res, err = b.Purge(ctx, key, o)
	case versioning.OpSetVacuumable:
		res, err = b.SetVacuumable(ctx, key, *op.vacuumable, o)
	case versioning.OpDropVersions:
		res, err = b.DropVersions(ctx, key, op.oldest, o)
	case versioning.OpSetSettings:
		err = b.SetSettings(ctx, op.settings)
	}
	x.log = append(x.log, fmt.Sprintf("%v -> %+v %v", op, res, err))
	want := x.m.refuse(&op, x.r.wall.Now())
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		x.fatalf("%v: got %v, want %v", op, err, want)
	}
	if err == nil {
		x.m.apply(&op, res.Revision)
		x.checkResult(&op, x.m, res)
	}
}

// checkResult compares what a write says with the model after it.
func (x *modelRun) checkResult(op *modelOp, m *model, res versioning.WriteResult) {
	x.times = append(x.times, res.Revision, res.Revision.Prev())
	k := m.keys[op.key]
	switch {
	case op.kind == versioning.OpSetSettings:
	case op.kind == versioning.OpPurge:
		if res.Version != 0 {
			x.fatalf("%v: version %d after a purge", op, res.Version)
		}
	case res.Version != k.count() || res.Revision != k.revision:
		x.fatalf("%v: version %d, revision %s; want %d, %s", op, res.Version, res.Revision, k.count(), k.revision)
	}
}

// batch does some operations in one batch, all or none.
func (x *modelRun) batch(n int) {
	after, now := x.m.clone(), x.r.wall.Now()
	batch := x.r.store.NewBatch()
	var ops []modelOp
	failAt, want := -1, error(nil)
	for i := range n {
		op := x.randomOp(after)
		if op.revision == "right" && i > 0 {
			op.revision = "" // the revision inside the batch is not known yet
		}
		real := x.real(&op, after)
		if err := batch.Add(x.r.store, &real); err != nil {
			x.fatalf("%v: %v", op, err)
		}
		ops = append(ops, op)
		if want = after.refuse(&op, now); want != nil {
			failAt = i
			break
		}
		after.apply(&op, hlc.Timestamp{WallNanos: now.UnixNano(), Logical: 1 << 30})
	}
	results, err := batch.Commit(context.Background(), &versioning.BatchOptions{NoSync: true})
	x.log = append(x.log, fmt.Sprintf("batch %v -> %+v %v", ops, results, err))
	if failAt >= 0 {
		if opErr := (*versioning.OpError)(nil); !errors.As(err, &opErr) || opErr.Index != failAt || !errors.Is(err, want) {
			x.fatalf("batch: got %v, want %v at %d", err, want, failAt)
		}
		return
	}
	if err != nil {
		x.fatalf("batch: %v", err)
	}
	for i := range ops {
		x.m.apply(&ops[i], results[i].Revision)
		x.checkResult(&ops[i], x.m, results[i])
	}
}

// burst puts many versions of one key.
func (x *modelRun) burst(n int) {
	key := x.names[x.rng.IntN(len(x.names))]
	for i := range n {
		x.single(modelOp{kind: versioning.OpPut, key: key, data: strconv.Itoa(i)})
	}
}

// step does something, and now and then looks at everything.
func (x *modelRun) step() {
	switch p := x.rng.IntN(100); {
	case p < 75:
		x.single(x.randomOp(x.m))
	case p < 90:
		x.batch(1 + x.rng.IntN(12))
	case p < 92:
		x.burst(1 + x.rng.IntN(30))
	default:
		x.r.wall.Advance(time.Duration(x.rng.IntN(1000)) * time.Millisecond)
	}
	if x.rng.IntN(4) == 0 {
		x.verifyKey(x.names[x.rng.IntN(len(x.names))])
	}
}

// modelSequence runs one sequence of operations on the buckets 3i+1, 3i+2 and 3i+3: one that only
// relabels and one that only cascades, with the same operations, and one that does anything.
func modelSequence(t *testing.T, r *rig, i uint64, seed uint64) {
	names := []string{"a", "\x00", "a\xff"}
	steps, deep := 12, false
	{
		rng := rand.New(rand.NewPCG(seed, 99))
		steps += rng.IntN(24)
		deep = rng.IntN(40) == 0
	}
	twins := [][]versioning.Rollover{{versioning.Relabel}, {versioning.Cascade}, {versioning.Relabel, versioning.Cascade, versioning.Refuse}}
	runs := make([]*modelRun, len(twins))
	for n, kinds := range twins {
		stream := uint64(1)
		if n == 2 {
			stream = 2
		}
		runs[n] = &modelRun{
			t: t, r: r, rng: rand.New(rand.NewPCG(seed, stream)), id: keys.BucketID(3*i + uint64(n) + 1),
			m: newModel(), kinds: kinds, names: names,
		}
		runs[n].single(modelOp{kind: versioning.OpSetSettings, settings: versioning.Settings{
			MaxVersions: modelLimits[int(seed)%len(modelLimits)], Rollover: kinds[0],
		}})
		if deep {
			runs[n].single(modelOp{kind: versioning.OpSetSettings, settings: versioning.Settings{MaxVersions: 255, Rollover: kinds[0]}})
			runs[n].burst(240 + int(seed%30))
		}
	}
	other := rand.New(rand.NewPCG(seed, 3))
	for range steps {
		wall := r.wall.Now()
		runs[0].step()
		moved := r.wall.Now().Sub(wall)
		r.wall.Step(-moved) // the twin sees the same time
		runs[1].step()
		runs[2].step()
		if other.IntN(600) == 0 {
			r.opts = &versioning.Options{Cache: mustCache(t, []int64{32 << 10, 1 << 20}[other.IntN(2)])}
			r.reopen()
		}
	}
	for _, x := range runs {
		for _, name := range names {
			x.verifyKey(name)
		}
		x.verifyScan()
	}
	sameAnswers(t, runs[0], runs[1])
}

func mustCache(tb testing.TB, bytes int64) *versioning.Cache {
	tb.Helper()
	c, err := versioning.NewCache(bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestModel drives the store with random sequences of operations and compares every answer with a
// slice of values. PLEIADES_MODEL_SEQUENCES says how many (default 300), PLEIADES_MODEL_SEED with
// which the first one starts; a failure names its own.
func TestModel(t *testing.T) {
	sequences := uint64(envInt(t, "PLEIADES_MODEL_SEQUENCES", 300))
	seed := uint64(envInt(t, "PLEIADES_MODEL_SEED", 1))
	const perEngine = 250
	for from := uint64(0); from < sequences; from += perEngine {
		r := newRig(t, nil)
		for i := from; i < min(from+perEngine, sequences); i++ {
			ok := t.Run(fmt.Sprintf("seed=%d", seed+i), func(t *testing.T) {
				r.tb = t
				modelSequence(t, r, i-from, seed+i)
			})
			r.tb = t
			if !ok {
				t.Fatalf("PLEIADES_MODEL_SEED=%d PLEIADES_MODEL_SEQUENCES=1 repeats it", seed+i)
			}
		}
		r.check()
		r.close()
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
