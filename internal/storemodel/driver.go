package storemodel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Driver drives one bucket and its model with one sequence of operations. The caller sets the fields, Times excepted.
type Driver struct {
	TB testing.TB
	// Choices decide what is done, and Reads what is looked at; nil means Choices too.
	Choices, Reads Choices
	// Store returns the store that the bucket is in; it may be another one after a reopening.
	Store func() *versioning.Store
	// Wall is the clock that the store's is made of.
	Wall *hlc.Manual
	// ID is the bucket, which is empty at first, and Model what it should hold.
	ID    keys.BucketID
	Model *Bucket
	// Rollovers are the kinds that settings are chosen from, Names the keys.
	Rollovers []versioning.Rollover
	Names     []string
	// Counted says that the store was opened with versioning.Options.Counted.
	Counted bool
	// Times are timestamps worth asking for; the driver notes those of its writes.
	Times []hlc.Timestamp

	log []string
}

// Limits are the numbers of versions that a bucket's settings are chosen from.
func Limits() []int { return []int{1, 2, 3, 5, 10, 17, 40, 254, 255} }

// Bucket returns the handle on the bucket.
func (x *Driver) Bucket() *versioning.Bucket {
	x.TB.Helper()
	b, err := x.Store().Bucket(x.ID)
	if err != nil {
		x.TB.Fatal(err)
	}
	return b
}

// Logf notes what was done, for Fatalf.
func (x *Driver) Logf(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

// Fatalf ends the test with the last operations.
func (x *Driver) Fatalf(format string, args ...any) {
	x.TB.Helper()
	for _, line := range x.log[max(0, len(x.log)-40):] {
		x.TB.Log(line)
	}
	x.TB.Fatalf("bucket %d: "+format, append([]any{x.ID}, args...)...)
}

func (x *Driver) reads() Choices {
	if x.Reads != nil {
		return x.Reads
	}
	return x.Choices
}

// Name chooses a key.
func (x *Driver) Name() string { return x.Names[x.Choices.IntN(len(x.Names))] }

// Op makes an operation on the state m.
func (x *Driver) Op(m *Bucket) Op {
	c := x.Choices
	op := Op{Kind: versioning.OpPut, Key: x.Name()}
	switch p := c.IntN(100); {
	case p < 62:
		op.Data = fmt.Sprintf("%d.%0*d", c.IntN(1000), c.IntN(30), 7)
		if c.IntN(200) == 199 {
			op.Data += string(make([]byte, 5000))
		}
		op.IfAbsent = c.IntN(8) == 7
		if c.IntN(5) == 4 {
			op.Expires = x.Wall.Now().Add(time.Duration(c.IntN(3000)-200) * time.Millisecond)
		}
		if c.IntN(6) == 5 {
			op.Vacuumable = new(c.IntN(2) == 0)
		}
	case p < 74:
		op.Kind = versioning.OpDelete
	case p < 78:
		op.Kind = versioning.OpPurge
	case p < 84:
		op.Kind, op.Vacuumable = versioning.OpSetVacuumable, new(c.IntN(2) == 0)
	case p < 86:
		op.Kind, op.Oldest, op.Tombstone = versioning.OpRestore, 1+c.IntN(255), c.IntN(3) == 2
		if op.Vacuumable = new(c.IntN(2) == 0); !op.Tombstone {
			op.Data = strconv.Itoa(c.IntN(1000))
		}
	case p < 94:
		op.Kind, op.Oldest = versioning.OpDropVersions, 1+c.IntN(255)
		if k := m.Keys[op.Key]; k.Exists() && c.IntN(4) > 0 {
			op.Oldest = max(1, min(255, k.Oldest+c.IntN(len(k.Versions)+2)))
		}
	default:
		op.Kind = versioning.OpSetSettings
		op.Settings = versioning.Settings{MaxVersions: Limits()[c.IntN(len(Limits()))], Rollover: x.Rollovers[c.IntN(len(x.Rollovers))]}
	}
	if op.Kind != versioning.OpSetSettings && c.IntN(6) == 5 {
		op.Revision = []string{"right", "right", "wrong", "none"}[c.IntN(4)]
	}
	if op.Kind != versioning.OpSetSettings && c.IntN(12) == 11 {
		op.IfVersion = 1 + c.IntN(4)
		if k := m.Keys[op.Key]; k.Exists() && c.IntN(3) > 0 {
			op.IfVersion = k.Count()
		}
	}
	return op
}

// stored makes the operation of the store.
func (x *Driver) stored(op *Op, m *Bucket) versioning.Op {
	out := versioning.Op{
		Kind: op.Kind, Bucket: x.ID, Key: []byte(op.Key), Value: []byte(op.Data), IfAbsent: op.IfAbsent,
		IfVersion: op.IfVersion, Tombstone: op.Tombstone, Vacuumable: op.Vacuumable, Oldest: op.Oldest, Settings: op.Settings,
	}
	if op.Kind == versioning.OpSetSettings {
		out.Key, out.Value = nil, nil
	}
	if !op.Expires.IsZero() {
		out.ExpiresWallNanos = op.Expires.UnixNano()
	}
	switch op.Revision {
	case "right":
		out.IfRevision = new(hlc.Timestamp)
		if k := m.Keys[op.Key]; k.Exists() {
			*out.IfRevision = k.Revision
		}
	case "wrong":
		out.IfRevision = &hlc.Timestamp{WallNanos: 1, Logical: 1}
	case "none":
		out.IfRevision = new(hlc.Timestamp)
	}
	return out
}

// Do does one operation through the bucket's methods.
func (x *Driver) Do(op Op) {
	x.TB.Helper()
	ctx, b, stored := context.Background(), x.Bucket(), x.stored(&op, x.Model)
	key := []byte(op.Key)
	o := &versioning.WriteOptions{IfRevision: stored.IfRevision, NoSync: true}
	var res versioning.WriteResult
	var err error
	switch {
	case op.IfVersion != 0 || op.Kind == versioning.OpRestore: // what has no method of its own
		res, err = x.batchOfOne(&stored)
	case op.Kind == versioning.OpPut:
		res, err = b.Put(ctx, key, stored.Value, &versioning.PutOptions{
			IfRevision: stored.IfRevision, IfAbsent: op.IfAbsent, ExpireAt: op.Expires, Vacuumable: op.Vacuumable, NoSync: true,
		})
	case op.Kind == versioning.OpDelete:
		res, err = b.Delete(ctx, key, o)
	case op.Kind == versioning.OpPurge:
		res, err = b.Purge(ctx, key, o)
	case op.Kind == versioning.OpSetVacuumable:
		res, err = b.SetVacuumable(ctx, key, *op.Vacuumable, o)
	case op.Kind == versioning.OpDropVersions:
		res, err = b.DropVersions(ctx, key, op.Oldest, o)
	case op.Kind == versioning.OpSetSettings:
		err = b.SetSettings(ctx, op.Settings)
	}
	x.Logf("%v -> %+v %v", op, res, err)
	want := x.Model.Refuse(&op, x.Wall.Now())
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		x.Fatalf("%v: got %v, want %v", op, err, want)
	}
	if err == nil {
		x.applied(x.Model, &op, res)
	}
}

// batchOfOne does one operation in a batch.
func (x *Driver) batchOfOne(op *versioning.Op) (versioning.WriteResult, error) {
	store := x.Store()
	batch := store.NewBatch()
	if err := batch.Add(store, op); err != nil {
		return versioning.WriteResult{}, err
	}
	results, err := batch.Commit(context.Background(), &versioning.BatchOptions{NoSync: true})
	if err != nil {
		return versioning.WriteResult{}, err
	}
	return results[0], nil
}

// applied does op on the model m, and compares what the write said with it.
func (x *Driver) applied(m *Bucket, op *Op, res versioning.WriteResult) {
	x.TB.Helper()
	var before versioning.Usage
	if x.Counted {
		before = m.Usage()
	}
	m.Apply(op, res.Revision)
	x.Times = append(x.Times, res.Revision, res.Revision.Prev())
	k := m.Keys[op.Key]
	switch {
	case op.Kind == versioning.OpSetSettings:
	case op.Kind == versioning.OpPurge:
		if res.Version != 0 {
			x.Fatalf("%v: version %d after a purge", op, res.Version)
		}
	case res.Version != k.Count() || res.Revision != k.Revision:
		x.Fatalf("%v: version %d, revision %s; want %d, %s", op, res.Version, res.Revision, k.Count(), k.Revision)
	}
	if after := before.Add(res.Usage); x.Counted && after != m.Usage() {
		x.Fatalf("%v: the bucket held %+v and changes by %+v, but holds %+v", op, before, res.Usage, m.Usage())
	}
}

// Batch does n operations in one batch, all or none.
func (x *Driver) Batch(n int) {
	x.TB.Helper()
	after, now := x.Model.Clone(), x.Wall.Now()
	store := x.Store()
	batch := store.NewBatch()
	var ops []Op
	failAt, want := -1, error(nil)
	for i := range n {
		op := x.Op(after)
		if op.Revision == "right" && i > 0 {
			op.Revision = "" // the revision inside the batch is not known yet
		}
		stored := x.stored(&op, after)
		if err := batch.Add(store, &stored); err != nil {
			x.Fatalf("%v: %v", op, err)
		}
		ops = append(ops, op)
		if want = after.Refuse(&op, now); want != nil {
			failAt = i
			break
		}
		after.Apply(&op, hlc.Timestamp{WallNanos: now.UnixNano(), Logical: 1 << 30})
	}
	results, err := batch.Commit(context.Background(), &versioning.BatchOptions{NoSync: true})
	x.Logf("batch %v -> %+v %v", ops, results, err)
	if failAt >= 0 {
		if opErr := (*versioning.OpError)(nil); !errors.As(err, &opErr) || opErr.Index != failAt || !errors.Is(err, want) {
			x.Fatalf("batch: got %v, want %v at %d", err, want, failAt)
		}
		return
	}
	if err != nil {
		x.Fatalf("batch: %v", err)
	}
	for i := range ops {
		x.applied(x.Model, &ops[i], results[i])
	}
}

// Apply does n operations through an applier, as a replicated state machine does: some are taken back, and now and then
// all of them are given up.
func (x *Driver) Apply(n int) {
	x.TB.Helper()
	store := x.Store()
	batch := store.Engine().NewBatch()
	defer batch.Close()
	a, after := store.NewApplier(batch), x.Model.Clone()
	for range n {
		ts, err := store.Clock().Now()
		if err != nil {
			x.Fatalf("%v", err)
		}
		op := x.Op(after)
		back := op.Kind != versioning.OpSetSettings && x.Choices.IntN(4) == 3
		if back {
			a.Savepoint()
		}
		stored := x.stored(&op, after)
		res, err := a.Apply(&stored, ts)
		x.Logf("apply %v, back=%t -> %+v %v", op, back, res, err)
		if want := after.Refuse(&op, ts.Time()); !errors.Is(err, want) || (want == nil) != (err == nil) {
			x.Fatalf("apply %v: got %v, want %v", op, err, want)
		}
		switch {
		case err != nil:
		case back:
			a.Rollback()
		default:
			x.applied(after, &op, res)
		}
	}
	if x.Choices.IntN(8) == 7 {
		x.Logf("given up")
		a.Discard()
		return
	}
	if err := store.Engine().Commit(context.Background(), batch, engine.NoSync); err != nil {
		x.Fatalf("commit: %v", err)
	}
	a.Committed()
	x.Model = after
}

// Burst puts n versions of one key.
func (x *Driver) Burst(n int) {
	x.TB.Helper()
	key := x.Name()
	for i := range n {
		x.Do(Op{Kind: versioning.OpPut, Key: key, Data: strconv.Itoa(i)})
	}
}

// Step does something, and now and then looks at a key.
func (x *Driver) Step() {
	x.TB.Helper()
	switch p := x.Choices.IntN(100); {
	case p < 75:
		x.Do(x.Op(x.Model))
	case p < 90:
		x.Batch(1 + x.Choices.IntN(12))
	case p < 92:
		x.Burst(1 + x.Choices.IntN(30))
	default:
		x.Wall.Advance(time.Duration(x.Choices.IntN(1000)) * time.Millisecond)
	}
	if x.Choices.IntN(4) == 3 {
		x.VerifyKey(x.Name())
	}
}
