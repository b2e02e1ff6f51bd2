package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"testing"
)

var rewrite = flag.Bool("rewrite-export", false, "rewrite the golden export manifest")

func goldenExport() *Export {
	return &Export{
		Shard: 1001, Incarnation: 3, Checksums: true,
		Files: []ExportFile{
			{Name: "000012.sst", Bytes: 4096, Level: 0, SmallestSeq: 7, LargestSeq: 19, Entries: 12, Smallest: []byte("d\x00"), Largest: []byte("dzz"), CRC32C: 0xdeadbeef},
			{Name: "9.sst", Bytes: 70_000, Level: 6, Entries: 900, Smallest: []byte("a"), Largest: []byte("m"), CRC32C: 1},
		},
	}
}

func TestExportManifestGolden(t *testing.T) {
	b := AppendExport(nil, goldenExport())
	got := hex.Dump(b)
	const file = "testdata/export.hex"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("the manifest has changed; it is a format on disk. got\n%s", got)
	}
	x, err := ParseExport(b)
	if err != nil || !bytes.Equal(AppendExport(nil, x), b) {
		t.Fatalf("round trip: %+v, %v", x, err)
	}
	for n := range b {
		if _, err := ParseExport(b[:n]); err == nil {
			t.Fatalf("a manifest cut at %d of %d bytes is accepted", n, len(b))
		}
	}
	newer := bytes.Clone(b)
	newer[9] = 2
	if _, err := ParseExport(newer); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("version 2: %v", err)
	}
	if _, err := ParseExport([]byte("something else")); !errors.Is(err, ErrInvalid) {
		t.Errorf("no manifest: %v", err)
	}
	for i := range b {
		flipped := bytes.Clone(b)
		flipped[i] ^= 0x10
		if _, err := ParseExport(flipped); err == nil {
			t.Errorf("byte %d flipped: accepted", i)
		}
	}
}

func TestExportManifestIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(x *Export){
		"path in a name":    func(x *Export) { x.Files[0].Name = "../1.sst" },
		"no table":          func(x *Export) { x.Files[0].Name = "CURRENT" },
		"twice":             func(x *Export) { x.Files[1].Name = x.Files[0].Name },
		"empty":             func(x *Export) { x.Files[0].Bytes = 0 },
		"negative":          func(x *Export) { x.Files[0].Bytes = -1 },
		"no entries":        func(x *Export) { x.Files[0].Entries = 0 },
		"level":             func(x *Export) { x.Files[1].Level = 200 },
		"sequence":          func(x *Export) { x.Files[1].SmallestSeq = 9 },
		"bounds":            func(x *Export) { x.Files[1].Smallest = []byte("n") },
		"overlap":           func(x *Export) { x.Files[0].Level, x.Files[1].Largest = 6, []byte("e") },
		"stray checksum":    func(x *Export) { x.Checksums = false },
		"sequence too high": func(x *Export) { x.Files[1].LargestSeq = 1 << 56 },
	} {
		x := goldenExport()
		spoil(x)
		if _, err := ParseExport(AppendExport(nil, x)); !errors.Is(err, ErrCorruption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add(AppendExport(nil, goldenExport()))
	f.Add(AppendExport(nil, &Export{Shard: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseExport(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrCorruption) && !errors.Is(err, ErrNewerFormat) {
				t.Fatalf("untyped error %v", err)
			}
			// The checksum guards the rest: put it right, so that the fuzzer gets behind it.
			if len(b) > 4 {
				b = fixExportChecksum(b)
				x, err = ParseExport(b)
			}
			if err != nil {
				return
			}
		}
		if again := AppendExport(nil, x); !bytes.Equal(again, b) {
			t.Fatalf("not canonical:\n%x\n%x", b, again)
		}
	})
}

func fixExportChecksum(b []byte) []byte {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
	return b
}
