package versioning_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestHostileInput(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	long := bytes.Repeat([]byte{0}, keys.MaxKeyBytes+1)
	large := make([]byte, versioning.MaxValueBytes+1)
	for _, c := range []struct {
		key, value []byte
		want       error
	}{
		{nil, nil, keys.ErrEmptyKey},
		{[]byte{}, nil, keys.ErrEmptyKey},
		{long, nil, keys.ErrKeyTooLong},
		{[]byte("k"), large, versioning.ErrValueTooLarge},
	} {
		if _, err := b.Put(ctx, c.key, c.value, nil); !errors.Is(err, c.want) || !errors.Is(err, base.ErrInvalid) {
			t.Errorf("put of %d + %d bytes: %v, want %v", len(c.key), len(c.value), err, c.want)
		}
		if err := r.store.NewBatch().Put(b, c.key, c.value, nil); !errors.Is(err, c.want) {
			t.Errorf("batch put of %d + %d bytes: %v, want %v", len(c.key), len(c.value), err, c.want)
		}
		if c.value != nil {
			continue
		}
		if _, err := b.Get(ctx, c.key); !errors.Is(err, c.want) {
			t.Errorf("get: %v, want %v", err, c.want)
		}
		for _, err := range b.History(ctx, c.key, nil) {
			if !errors.Is(err, c.want) {
				t.Errorf("history: %v, want %v", err, c.want)
			}
		}
	}
	for _, key := range [][]byte{{0}, {0xFF}, {0, 0}, {0, 0xFF}, {0xFF, 0}, long[1:], bytes.Repeat([]byte{0xFF}, keys.MaxKeyBytes)} {
		for _, value := range [][]byte{nil, {0}, large[1:]} {
			if _, err := b.Put(ctx, key, value, noSync); err != nil {
				t.Fatalf("put of %d + %d bytes: %v", len(key), len(value), err)
			}
			if v, err := b.Get(ctx, key); err != nil || !bytes.Equal(v.Data, value) {
				t.Fatalf("get of %d bytes: %d bytes, %v", len(key), len(v.Data), err)
			}
		}
		if len(key) > 2 {
			continue
		}
		for _, values := range []bool{false, true} {
			n := 0
			for e, err := range b.Scan(ctx, &versioning.ScanOptions{Prefix: key, Limit: 1, Values: values}) {
				if err != nil || !bytes.Equal(e.Key, key) {
					t.Fatalf("scan of prefix %x: %x, %v", key, e.Key, err)
				}
				n++
			}
			if n != 1 {
				t.Fatalf("scan of prefix %x: %d keys", key, n)
			}
		}
	}
	if _, err := r.store.Bucket(0); !errors.Is(err, keys.ErrInvalidBucket) {
		t.Errorf("bucket 0: %v", err)
	}
	for _, n := range []int{-1, 0, 256} {
		if _, err := b.GetVersion(ctx, []byte("k"), n); !errors.Is(err, versioning.ErrInvalidVersion) {
			t.Errorf("version %d: %v", n, err)
		}
		if _, err := b.DropVersions(ctx, []byte("k"), n, nil); !errors.Is(err, versioning.ErrInvalidVersion) {
			t.Errorf("drop below %d: %v", n, err)
		}
	}
	for _, s := range []versioning.Settings{{}, {MaxVersions: 256, Rollover: versioning.Relabel}, {MaxVersions: 5, Rollover: 4}} {
		if err := b.SetSettings(ctx, s); !errors.Is(err, versioning.ErrInvalidSettings) {
			t.Errorf("settings %+v: %v", s, err)
		}
	}
}

func TestChecksumOfTheClient(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	right := versioning.Checksum([]byte("value"))
	wrong := right ^ 1
	if _, err := b.Put(ctx, []byte("k"), []byte("value"), &versioning.PutOptions{Checksum: &wrong}); !errors.Is(err, versioning.ErrChecksumMismatch) {
		t.Fatal(err)
	}
	if _, err := b.Put(ctx, []byte("k"), []byte("value"), &versioning.PutOptions{Checksum: &right}); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get(ctx, []byte("k")); err != nil || v.Checksum != right {
		t.Fatal(v, err)
	}
}

func TestClosedAndCancelled(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Put(cancelled, []byte("k"), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := b.Get(cancelled, []byte("k")); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	batch := r.store.NewBatch()
	if err := batch.Put(b, []byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Commit(cancelled, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("batch: %v", err)
	}
	if _, err := batch.Commit(t.Context(), nil); !errors.Is(err, base.ErrClosed) {
		t.Errorf("a used-up batch: %v", err)
	}
	batch = r.store.NewBatch()
	if err := batch.Put(b, []byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	r.store.Close()
	if _, err := batch.Commit(t.Context(), nil); !errors.Is(err, base.ErrClosed) {
		t.Errorf("batch after close: %v", err)
	}
	if _, err := b.Put(t.Context(), []byte("k"), nil, nil); !errors.Is(err, base.ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
	if _, err := b.Get(t.Context(), []byte("k")); !errors.Is(err, base.ErrClosed) {
		t.Errorf("get after close: %v", err)
	}
	for _, err := range b.Scan(t.Context(), nil) {
		if !errors.Is(err, base.ErrClosed) {
			t.Errorf("scan after close: %v", err)
		}
	}
}

// TestCachesOfADroppedShard: also what the caches could answer is refused once the shard is gone.
func TestCachesOfADroppedShard(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	if _, err := b.Put(ctx, key, []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	fresh, err := r.eng.ReplaceShard(ctx, engine.FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	for name, op := range map[string]func() error{
		"unmark":   func() error { _, err := b.SetVacuumable(ctx, key, false, nil); return err },
		"drop":     func() error { _, err := b.DropVersions(ctx, key, 1, nil); return err },
		"absent":   func() error { _, err := b.Put(ctx, key, nil, &versioning.PutOptions{IfAbsent: true}); return err },
		"settings": func() error { _, err := b.Settings(ctx); return err },
		"get":      func() error { _, err := b.Get(ctx, key); return err },
		"batch": func() error {
			batch := r.store.NewBatch()
			if err := batch.SetVacuumable(b, key, false, nil); err != nil {
				return err
			}
			_, err := batch.Commit(ctx, nil)
			return err
		},
	} {
		if err := op(); !errors.Is(err, engine.ErrShardDropped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.store, err = versioning.Open(fresh, r.clock, nil); err != nil { // for the check behind the test
		t.Fatal(err)
	}
}

// TestExpiringValuesOfAStoppedClock: what has expired can be told where no timestamp can be issued, as
// on an engine that stopped writing.
func TestExpiringValuesOfAStoppedClock(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	if _, err := b.Put(ctx, key, []byte("v"), &versioning.PutOptions{ExpireAt: start.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := r.clock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(ctx, key); err != nil {
		t.Fatal(err)
	}
	r.wall.Advance(time.Hour)
	if _, err := b.Get(ctx, key); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatal(err)
	}
}

// TestEndOfTimestamps: a key whose revision is the last timestamp takes no further write.
func TestEndOfTimestamps(t *testing.T) {
	r := newRig(t, nil)
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := r.store.NewApplier(batch)
	op := &versioning.Op{Kind: versioning.OpPut, Bucket: 1, Key: []byte("k")}
	last := hlc.Timestamp{WallNanos: math.MaxInt64, Logical: math.MaxUint32}
	if _, err := a.Apply(op, last); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Apply(op, last); !errors.Is(err, hlc.ErrExhausted) || a.Err() != nil {
		t.Fatal(err, a.Err())
	}
}
