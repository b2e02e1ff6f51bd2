package engine

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/linxGnu/grocksdb"
	"pgregory.net/rapid"
)

// TestBatchBytesEqualRocksDBs proves that the representation built in Go is the one that RocksDB's
// own encoder makes of the same operations.
func TestBatchBytesEqualRocksDBs(t *testing.T) {
	e := openTemp(t)
	shards := []*Shard{e.Local(), mustShard(t, e, 1001), mustShard(t, e, 1002)}
	rapid.Check(t, func(t *rapid.T) {
		ours := e.NewBatch()
		defer ours.Close()
		theirs := grocksdb.NewWriteBatch()
		defer theirs.Destroy()
		n := rapid.IntRange(0, 20).Draw(t, "n")
		for range n {
			s := rapid.SampledFrom(shards).Draw(t, "shard")
			key := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "key")
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				value := bytes.Repeat([]byte{7}, rapid.IntRange(0, 20_000).Draw(t, "size"))
				if err := ours.Put(s, key, value); err != nil {
					t.Fatal(err)
				}
				if s.cfID == 0 {
					theirs.Put(key, value)
				} else {
					theirs.PutCF(s.cf, key, value)
				}
			case 1:
				if err := ours.Delete(s, key); err != nil {
					t.Fatal(err)
				}
				if s.cfID == 0 {
					theirs.Delete(key)
				} else {
					theirs.DeleteCF(s.cf, key)
				}
			case 2:
				hi := append(append([]byte(nil), key...), 1)
				if err := ours.DeleteRange(s, key, hi); err != nil {
					t.Fatal(err)
				}
				if s.cfID == 0 {
					theirs.DeleteRange(key, hi)
				} else {
					theirs.DeleteRangeCF(s.cf, key, hi)
				}
			}
		}
		if err := ours.check(); err != nil {
			t.Fatalf("check of a good batch: %v", err)
		}
		group := committer{e: e, group: []*request{{b: ours}}}
		if got, want := group.representation(ours.count), theirs.Data(); !bytes.Equal(got, want) {
			t.Fatalf("ours   %x\ntheirs %x", got, want)
		}
	})
}

// TestBatchGolden pins the bytes: they are what stands in the write-ahead log.
func TestBatchGolden(t *testing.T) {
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	b := e.NewBatch()
	defer b.Close()
	for _, err := range []error{
		b.Put(e.Local(), []byte("k"), []byte("v")), b.Delete(e.Local(), []byte("k")),
		b.Put(s, []byte("a"), []byte("bc")), b.Delete(s, []byte("a")), b.DeleteRange(s, []byte("a"), []byte("b")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Join([]string{
		"0000000000000000" + "00000000", // sequence and count: filled in by the committer
		"01" + "016b" + "0176",          // put, default family
		"00" + "016b",                   // delete, default family
		"05" + "01" + "0161" + "026263", // put, family 1
		"04" + "01" + "0161",            // delete, family 1
		"0e" + "01" + "0161" + "0162",   // range delete, family 1
	}, "")
	if got := hex.EncodeToString(b.rep); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if b.Count() != 5 || b.Len() != len(want)/2 {
		t.Fatalf("count %d, len %d", b.Count(), b.Len())
	}
}

// TestBatchCheckRefusesMalformed: no truncation and no wrong count passes the committer's check.
func TestBatchCheckRefusesMalformed(t *testing.T) {
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	fill := func() *Batch {
		b := e.NewBatch()
		if err := b.Put(s, []byte("key"), []byte("value")); err != nil {
			t.Fatal(err)
		}
		if err := b.DeleteRange(s, []byte("a"), []byte("b")); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := fill()
	whole := len(b.rep)
	b.Close()
	for cut := batchHeaderBytes; cut < whole; cut++ {
		b := fill()
		b.rep = b.rep[:cut]
		if err := b.check(); err == nil {
			t.Fatalf("a batch cut at %d of %d passes", cut, whole)
		}
		wantErr(t, e.Commit(t.Context(), b, NoSync), ErrInvalid)
		b.Close()
	}
	b = fill()
	b.count++
	wantErr(t, e.Commit(t.Context(), b, NoSync), ErrInvalid)
	b.Close()
	b = fill()
	b.rep[batchHeaderBytes] = 0x7f // a record type that the engine never writes
	wantErr(t, e.Commit(t.Context(), b, NoSync), ErrInvalid)
	b.Close()
	b = fill()
	b.rep[batchHeaderBytes+1] = 99 // a family that the batch does not hold
	wantErr(t, e.Commit(t.Context(), b, NoSync), ErrInvalid)
	b.Close()
	mustPut(t, e, s, Sync, "still", "writable")
	wantGet(t, s, "still", "writable")
	wantGet(t, s, "key", "")
}

func TestBatchBounds(t *testing.T) {
	o := smallOptions()
	o.MaxBatchBytes = 64 << 10
	e := openAt(t, t.TempDir(), o)
	s := mustShard(t, e, 1001)
	other := openTemp(t)
	b := e.NewBatch()
	defer b.Close()
	wantErr(t, b.Put(s, []byte("k"), make([]byte, 64<<10)), ErrBatchTooLarge)
	wantErr(t, b.DeleteRange(s, []byte("b"), []byte("b")), ErrInvalid)
	wantErr(t, b.Put(other.Local(), []byte("k"), nil), ErrInvalid)
	wantErr(t, other.Commit(t.Context(), b, NoSync), ErrInvalid)
	wantErr(t, b.Activate(s), ErrInvalid)
	wantErr(t, b.Retire(e.Local()), ErrInvalid)
	if b.Count() != 0 {
		t.Fatalf("refused records were kept: %d", b.Count())
	}
	b.Close()
	b.Close()
	wantErr(t, b.Put(s, []byte("k"), nil), ErrClosed)
	wantErr(t, e.Commit(t.Context(), b, NoSync), ErrClosed)
}

func BenchmarkBatchPut(b *testing.B) {
	e := openTemp(b)
	s := mustShard(b, e, 1001)
	batch := e.NewBatch()
	defer batch.Close()
	key, value := []byte("0123456789abcdef"), make([]byte, 128)
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			batch.Reset()
		}
		if err := batch.Put(s, key, value); err != nil {
			b.Fatal(err)
		}
	}
}
