package node

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
)

func sample() *record {
	r := &record{constellation: "local-1", node: "n-2"}
	for i := range 32 {
		r.resetKey[i], r.tokenKey[i] = byte(i), byte(0x80+i)
	}
	return r
}

// TestRecordIsGolden pins the bytes of format 1.
func TestRecordIsGolden(t *testing.T) {
	const want = "01" + "07" + "6c6f63616c2d31" + "03" + "6e2d32" +
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
	b := sample().append(nil)
	if got := hex.EncodeToString(b); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	for n := range b {
		if _, err := parseRecord(b[:n]); !errors.Is(err, base.ErrCorruption) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	if _, err := parseRecord(append([]byte{2}, b[1:]...)); !errors.Is(err, base.ErrVersion) {
		t.Errorf("format 2: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(sample().append(nil))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			if !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		if string(r.append(nil)) != string(b) {
			t.Fatalf("% x became % x", b, r.append(nil))
		}
	})
}

func TestADirectoryBelongsToOneNode(t *testing.T) {
	eng, err := engine.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	first, err := identify(t.Context(), eng, "local-1", "n-1")
	if err != nil || first.resetKey == [32]byte{} || first.resetKey == first.tokenKey {
		t.Fatal(first, err)
	}
	again, err := identify(t.Context(), eng, "local-1", "n-1")
	if err != nil || *again != *first {
		t.Errorf("%+v, %v; want %+v", again, err, first)
	}
	for _, other := range [][2]string{{"local-2", "n-1"}, {"local-1", "n-2"}} {
		if _, err := identify(t.Context(), eng, other[0], other[1]); !errors.Is(err, ErrWrongNode) || !strings.Contains(err.Error(), "node n-1 of constellation local-1") {
			t.Errorf("%v: %v", other, err)
		}
	}
}

// TestACutFirstStartGoesOn: whatever part of the first certificates a crash left, the next start makes the rest, and never
// lets them beyond the loopback.
func TestACutFirstStartGoesOn(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "certs")
	if made, err := ensureCertificates(whole, true); err != nil || !made {
		t.Fatal(made, err)
	}
	if made, err := ensureCertificates(whole, true); err != nil || made {
		t.Fatalf("again: %v, %v", made, err)
	}
	if _, err := ensureCertificates(whole, false); !errors.Is(err, ErrNeedsCertificates) {
		t.Fatalf("beyond the loopback: %v", err)
	}
	if _, err := ensureCertificates(filepath.Join(t.TempDir(), "none"), false); !errors.Is(err, ErrNeedsCertificates) {
		t.Fatalf("beyond the loopback without any: %v", err)
	}
	for _, missing := range [][]string{
		{"client.root.crt", "client.root.key"},
		{"client.root.crt", "client.root.key", "node.crt", "node.key"},
		{"client.root.crt", "client.root.key", "node.crt", "node.key", "ca.crt", "ca.key"},
	} {
		for _, name := range missing {
			if err := os.Remove(filepath.Join(whole, name)); err != nil {
				t.Fatal(err)
			}
		}
		if made, err := ensureCertificates(whole, true); err != nil || !made {
			t.Errorf("without %v: %v, %v", missing, made, err)
		}
	}
	if err := os.Remove(filepath.Join(whole, selfMade)); err != nil {
		t.Fatal(err)
	}
	if made, err := ensureCertificates(whole, false); err != nil || made {
		t.Errorf("those of an operator: %v, %v", made, err)
	}
}
