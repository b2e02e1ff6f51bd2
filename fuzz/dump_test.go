package fuzz

import (
	"bytes"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
)

// dumpFile is a dump made of a fuzzer's choices.
type dumpFile struct {
	c     *storemodel.Bytes
	out   bytes.Buffer
	w     *dump.Writer
	whole bool // what a store could have written: it must come back the same
	now   hlc.Timestamp
	n     int
}

// maxDumped bounds the versions of one input.
const maxDumped = 60

// FuzzDump restores dumps into a store. One that a store could have written comes back byte for byte. Of others, made by hand
// or damaged, some versions come in and the rest is refused with an error that says why; what then lies there satisfies
// versioning.Check, and its own dump comes back byte for byte.
func FuzzDump(f *testing.F) {
	addSeeds(f, 3, 10, 8, 24)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		r.next(t)
		now, err := r.clock.Now()
		if err != nil {
			t.Fatal(err)
		}
		d := &dumpFile{c: storemodel.NewBytes(input), now: now}
		file := d.make(t)
		first, second := r.bucket(1), r.bucket(2)
		restored, refused, err := r.restore(first, file)
		r.check(r.store.Shard())
		if err != nil && !typed(err) {
			t.Fatalf("untyped error %v", err)
		}
		copied := dumpOf(t, first)
		if d.whole && (err != nil || refused != 0 || restored != d.n || !sameDump(file, copied)) {
			t.Fatalf("%d of %d versions, %d refused, %v:\n%x\nbecame\n%x", restored, d.n, refused, err, file, copied)
		}
		if n, refused, err := r.restore(second, copied); err != nil || refused != 0 {
			t.Fatalf("the copy: %d restored, %d refused, %v", n, refused, err)
		}
		if again := dumpOf(t, second); !sameDump(copied, again) {
			t.Fatalf("%x\nbecame\n%x", copied, again)
		}
		// A second restore finds everything there.
		if n, _, err := r.restore(second, copied); err != nil || n != 0 {
			t.Fatalf("restored again: %d versions, %v", n, err)
		}
		r.check(r.store.Shard())
	})
}

// make writes the dump.
func (d *dumpFile) make(t *testing.T) []byte {
	t.Helper()
	mode := d.c.IntN(4)
	d.whole = mode < 2
	h := dump.Header{Created: d.now, Bucket: 1, MaxVersions: 1 + d.c.IntN(255), Rollover: uint8(1 + d.c.IntN(3))}
	if !d.whole {
		h.MaxVersions, h.Rollover = d.c.IntN(300), uint8(d.c.IntN(5))
	}
	var err error
	if d.w, err = dump.NewWriter(&d.out, h); err != nil {
		t.Fatal(err)
	}
	if d.whole {
		d.likeAStore(t)
	} else {
		d.anything()
	}
	if err := d.w.Close(); err != nil {
		t.Fatal(err)
	}
	file := d.out.Bytes()
	if mode == 3 {
		at := d.c.IntN(min(len(file), 60_000))
		switch d.c.IntN(3) {
		case 0:
			file[at] ^= byte(1 + d.c.IntN(255))
		case 1:
			file = file[:at]
		default:
			file = append(file, file[at:]...)
		}
	}
	return file
}

// likeAStore writes keys in their order, each with numbers and timestamps that grow.
func (d *dumpFile) likeAStore(t *testing.T) {
	for i := 0; d.c.Len() > 0 && d.n < maxDumped; i++ {
		key := append([]byte{byte(i)}, d.c.Take(d.c.IntN(6))...)
		count := 1 + d.c.IntN(6)
		number := 1 + d.c.IntN(255-count+1)
		mark := d.c.IntN(2) == 1
		at := time.Duration(1_000_000+d.c.IntN(1000)) * time.Second
		for j := range count {
			at -= time.Duration(1+d.c.IntN(100)) * time.Second
			v := &dump.Version{
				Key: key, Number: number + j, Latest: j == count-1, Vacuumable: mark,
				Timestamp: hlc.Timestamp{WallNanos: d.now.WallNanos - int64(at), Logical: uint32(d.c.IntN(3))},
			}
			switch d.c.IntN(8) {
			case 0:
				v.Tombstone = true
			case 1:
				v.ExpireAt = time.Unix(0, d.now.WallNanos).Add(time.Duration(d.c.IntN(2000)-1000) * time.Second)
				fallthrough
			default:
				v.Value = d.c.Take(d.c.IntN(20))
			}
			if err := d.w.Write(v); err != nil {
				t.Fatal(err)
			}
			d.n++
		}
	}
}

// anything writes whatever the format can hold; what it refuses is left out.
func (d *dumpFile) anything() {
	var key []byte
	for d.c.Len() > 0 && d.n < maxDumped {
		switch d.c.IntN(4) {
		case 0:
			key = d.c.Take(d.c.IntN(12))
		case 1:
			key = append(bytes.Clone(key), byte(d.c.IntN(256)))
		}
		if d.c.IntN(64) == 63 {
			key = append(bytes.Clone(key), make([]byte, 16<<10)...) // too long, or nearly
		}
		v := &dump.Version{
			Key: key, Value: d.c.Take(d.c.IntN(40)), Number: d.c.IntN(257), Timestamp: d.timestamp(),
			Tombstone: d.c.IntN(4) == 3, Latest: d.c.IntN(2) == 1, Vacuumable: d.c.IntN(2) == 1,
		}
		if d.c.IntN(3) == 2 {
			v.ExpireAt = d.timestamp().Time()
		}
		if d.w.Write(v) == nil {
			d.n++
		}
	}
}

func (d *dumpFile) timestamp() hlc.Timestamp {
	ts := hlc.Timestamp{WallNanos: d.now.WallNanos - int64(d.c.IntN(1000)), Logical: uint32(d.c.IntN(2))}
	switch d.c.IntN(16) {
	case 12:
		ts.WallNanos = int64(d.c.IntN(3))
	case 13:
		ts.WallNanos = 1<<63 - 1 - int64(d.c.IntN(2))
	case 14:
		ts.Logical = 1<<32 - 1 - uint32(d.c.IntN(2))
	case 15:
		ts.WallNanos += int64(d.c.IntN(3)) * int64(time.Hour)
	}
	return ts
}
