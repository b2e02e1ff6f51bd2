package dump

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"pgregory.net/rapid"
)

var rewrite = flag.Bool("rewrite-golden", false, "rewrite testdata/v1.hex")

func ts(n int64) hlc.Timestamp {
	return hlc.Timestamp{WallNanos: 1_700_000_000_000_000_000 + n, Logical: 7}
}

var (
	testHeader = Header{Created: ts(99), Bucket: 1, MaxVersions: 255, Rollover: 1}
	// One of every kind: what the golden file shows.
	testVersions = []Version{
		{Key: []byte("a"), Value: []byte("first"), Number: 1, Timestamp: ts(1)},
		{Key: []byte("a"), Value: []byte{}, Number: 2, Timestamp: ts(2), Tombstone: true},
		{Key: []byte("a"), Value: []byte("third"), Number: 3, Timestamp: ts(3), Latest: true, ExpireAt: time.Unix(1_800_000_000, 5).UTC()},
		{Key: []byte("b\x00\xff"), Value: []byte{0}, Number: 255, Timestamp: ts(4), Latest: true, Vacuumable: true},
	}
)

func write(t testing.TB, h Header, vs []Version) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range vs {
		if err := w.Write(&vs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readAll returns what could be read and the error that ended it; nil for a whole dump.
func readAll(b []byte) (h Header, vs []Version, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return h, nil, err
	}
	for {
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header(), vs, nil
		}
		if err != nil {
			if _, again := r.Next(); !errors.Is(again, err) {
				return r.Header(), vs, errors.New("an error that does not stay")
			}
			return r.Header(), vs, err
		}
		c := *v
		c.Key, c.Value = bytes.Clone(v.Key), bytes.Clone(v.Value)
		vs = append(vs, c)
	}
}

// TestGolden pins every byte of version 1: dumps outlive the program that wrote them.
func TestGolden(t *testing.T) {
	b := write(t, testHeader, testVersions)
	const file = "testdata/v1.hex"
	if *rewrite {
		if err := os.WriteFile(file, []byte(hex.Dump(b)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.Dump(b); got != string(want) {
		t.Fatalf("the format changed:\n%s", got)
	}
	h, vs, err := readAll(b)
	if err != nil || h != testHeader || !reflect.DeepEqual(vs, testVersions) {
		t.Fatalf("%+v\n%+v\n%v", h, vs, err)
	}
}

// TestEveryTruncationFails: no prefix reads as a shorter dump, and what was whole in it is delivered.
func TestEveryTruncationFails(t *testing.T) {
	b := write(t, testHeader, testVersions)
	for n := range len(b) {
		_, vs, err := readAll(b[:n])
		want := ErrTruncated
		if n == 0 {
			want = ErrNotDump
		}
		if !errors.Is(err, want) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
		if len(vs) > 0 && !reflect.DeepEqual(vs, testVersions[:len(vs)]) {
			t.Fatalf("%d bytes: %+v", n, vs)
		}
	}
}

// TestEveryBitFlipFails: no single changed bit goes unnoticed.
func TestEveryBitFlipFails(t *testing.T) {
	b := write(t, testHeader, testVersions)
	for i := range b {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			_, _, err := readAll(c)
			if !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) && !errors.Is(err, ErrNotDump) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
}

// TestReorderedRecordsFail: whole records that were dropped or swapped are found by the end record.
func TestReorderedRecordsFail(t *testing.T) {
	one := write(t, testHeader, testVersions[:1])
	body := one[headerFixed+headerPayload+4:]
	record := body[:len(body)-(5+endPayload+4)]
	doubled := append(bytes.Clone(one[:len(one)-(5+endPayload+4)]), record...)
	doubled = append(doubled, one[len(one)-(5+endPayload+4):]...)
	if _, _, err := readAll(doubled); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a doubled record: %v", err)
	}
	dropped := append(bytes.Clone(one[:headerFixed+headerPayload+4]), one[len(one)-(5+endPayload+4):]...)
	if _, _, err := readAll(dropped); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a dropped record: %v", err)
	}
	if _, _, err := readAll(append(bytes.Clone(one), 0)); !errors.Is(err, ErrDamaged) {
		t.Fatal("a byte behind the end was ignored")
	}
}

// TestThreeErrors: magic, version and checksum are told apart, in this order.
func TestThreeErrors(t *testing.T) {
	newer := write(t, testHeader, nil)
	newer[len(Magic)+1] = 2
	if _, _, err := readAll(newer); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
	if _, _, err := readAll([]byte("PLDUMP\n\n and more text than a header has")); !errors.Is(err, ErrNotDump) {
		t.Errorf("changed line ending: %v", err)
	}
	broken := errors.New("broken")
	r, err := NewReader(io.MultiReader(bytes.NewReader(write(t, testHeader, nil)[:headerFixed+headerPayload+4]), errReader{broken}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) || errors.Is(err, ErrTruncated) {
		t.Errorf("a failing disk must not look like a short dump: %v", err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// TestLengthIsNotTrusted: a record that claims 64 MiB and has none does not cost them.
func TestLengthIsNotTrusted(t *testing.T) {
	b := write(t, testHeader, nil)[:headerFixed+headerPayload+4]
	b = binary.BigEndian.AppendUint32(append(b, typeVersion), MaxValueBytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readAll(b)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTruncated) || after.TotalAlloc-before.TotalAlloc > 4<<20 {
		t.Fatalf("%v, %d bytes allocated", err, after.TotalAlloc-before.TotalAlloc)
	}
	binary.BigEndian.PutUint32(b[len(b)-4:], 1<<31)
	if _, _, err := readAll(b); !errors.Is(err, ErrDamaged) {
		t.Fatalf("2 GiB: %v", err)
	}
}

// TestForgedRecords: records whose checksum is right and whose contents are not.
func TestForgedRecords(t *testing.T) {
	for name, c := range map[string]struct {
		kind    byte
		payload []byte
		want    error
	}{
		"short":          {typeVersion, []byte{0, 1}, ErrDamaged},
		"number 0":       {typeVersion, append(make([]byte, 14), 0, 0), ErrDamaged},
		"unknown flag":   {typeVersion, append([]byte{0x80, 1}, make([]byte, 14)...), ErrVersion},
		"no expiry":      {typeVersion, append([]byte{flagExpires, 1}, make([]byte, 14)...), ErrDamaged},
		"key too long":   {typeVersion, append(append([]byte{0, 1}, make([]byte, 12)...), 0, 9, 'k'), ErrDamaged},
		"no key length":  {typeVersion, append([]byte{0, 1}, make([]byte, 12)...), ErrDamaged},
		"unknown type":   {2, nil, ErrVersion},
		"short end":      {typeEnd, []byte{1}, ErrDamaged},
		"lying end":      {typeEnd, make([]byte, endPayload-1), ErrDamaged},
		"negative clock": {typeVersion, append(append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, 12)...), 0, 0), ErrDamaged},
	} {
		b := write(t, testHeader, nil)[:headerFixed+headerPayload+4]
		start := len(b)
		b = binary.BigEndian.AppendUint32(append(b, c.kind), uint32(len(c.payload)))
		b = append(b, c.payload...)
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
		if _, _, err := readAll(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := NewWriter(io.Discard, testHeader)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Version{
		"number 0":           {Key: []byte("k"), Timestamp: ts(1)},
		"number 256":         {Key: []byte("k"), Timestamp: ts(1), Number: 256},
		"no time":            {Key: []byte("k"), Number: 1},
		"deletion of what":   {Key: []byte("k"), Timestamp: ts(1), Number: 1, Tombstone: true, Value: []byte("v")},
		"expiring deletion":  {Key: []byte("k"), Timestamp: ts(1), Number: 1, Tombstone: true, ExpireAt: time.Unix(1, 0)},
		"expired since 1970": {Key: []byte("k"), Timestamp: ts(1), Number: 1, ExpireAt: time.Unix(0, 0)},
	} {
		if err := w.Write(&v); !errors.Is(err, ErrImpossible) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, v := range map[string]Version{
		"long key": {Key: make([]byte, maxKeyBytes+1), Timestamp: ts(1), Number: 1},
	} {
		if err := w.Write(&v); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, key := range []string{"b", "b", "a"} {
		err = w.Write(&Version{Key: []byte(key), Timestamp: ts(1), Number: 1})
	}
	if err == nil {
		t.Error("keys out of order were written")
	}
	if keys, versions := w.Counts(); keys != 1 || versions != 2 {
		t.Errorf("%d keys, %d versions", keys, versions)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var vs []Version
		for _, key := range rapid.SliceOfNDistinct(rapid.StringN(0, 20, -1), 0, 5, rapid.ID).Draw(rt, "keys") {
			n := rapid.IntRange(1, 3).Draw(rt, "versions")
			for i := range n {
				v := Version{
					Key: []byte(key), Value: rapid.SliceOf(rapid.Byte()).Draw(rt, "value"), Number: i + 1, Latest: i == n-1,
					Timestamp: ts(rapid.Int64Range(0, 1<<40).Draw(rt, "ts")), Tombstone: rapid.Bool().Draw(rt, "tombstone"), Vacuumable: rapid.Bool().Draw(rt, "vacuumable"),
				}
				if v.Tombstone {
					v.Value = nil
				} else if rapid.Bool().Draw(rt, "expires") {
					v.ExpireAt = time.Unix(0, rapid.Int64Min(1).Draw(rt, "expiry")).UTC()
				}
				vs = append(vs, v)
			}
		}
		sortByKey(vs)
		_, got, err := readAll(write(t, testHeader, vs))
		if err != nil || len(got) != len(vs) {
			rt.Fatalf("%d of %d versions: %v", len(got), len(vs), err)
		}
		for i := range vs {
			if !reflect.DeepEqual(got[i], vs[i]) && !(len(vs[i].Value) == 0 && len(got[i].Value) == 0) {
				rt.Fatalf("%+v came back as %+v", vs[i], got[i])
			}
		}
	})
}

func sortByKey(vs []Version) {
	for i := 1; i < len(vs); i++ {
		for j := i; j > 0 && bytes.Compare(vs[j].Key, vs[j-1].Key) < 0; j-- {
			vs[j], vs[j-1] = vs[j-1], vs[j]
		}
	}
}

func FuzzReader(f *testing.F) {
	b := write(f, testHeader, testVersions)
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, vs, err := readAll(b)
		if err != nil {
			return
		}
		if again := write(t, h, vs); !bytes.Equal(again, b) {
			t.Fatalf("a second form of the same dump:\n%x\n%x", b, again)
		}
	})
}
