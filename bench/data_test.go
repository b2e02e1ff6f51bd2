package bench

import (
	"bytes"
	"compress/flate"
	"testing"
)

func TestKeysSortAsNumbers(t *testing.T) {
	prev := []byte(nil)
	for _, n := range []uint64{0, 1, 9, 10, 99, 100, 123456, 9999999999999999} {
		k, missing := appendKey(nil, n), appendMissingKey(nil, n)
		if len(k) != KeyBytes || bytes.Compare(prev, k) >= 0 {
			t.Errorf("key of %d is %q behind %q", n, k, prev)
		}
		if bytes.Compare(k, missing) >= 0 || (n+1 < 1e16 && bytes.Compare(missing, appendKey(nil, n+1)) >= 0) {
			t.Errorf("the missing key of %d does not lie between its neighbours: %q", n, missing)
		}
		prev = k
	}
}

func TestValuesCompressToAboutHalf(t *testing.T) {
	values := newValues(1, 128)
	var plain []byte
	for range 5000 {
		v := values.next()
		if len(v) != 128 {
			t.Fatalf("a value of %d bytes", len(v))
		}
		plain = append(plain, v...)
	}
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, 1)
	w.Write(plain)
	w.Close()
	if ratio := float64(packed.Len()) / float64(len(plain)); ratio < .35 || ratio > .65 {
		t.Errorf("values compress to %.2f", ratio)
	}
}
