package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

// dumpTime and dumpSettings bound the time of a dump, and what follows it without the checksum, in a dump's header.
const (
	dumpTime     = 8 + 2 + 2 + 4
	dumpSettings = dumpTime + 12
	dumpHead     = dumpSettings + 11
)

// TestDumpBringsBackEverything: random histories, dumped, loaded into another store and dumped again, give the same
// dump byte for byte but for the time in its header, with deletions at the start of a history, numbers above holes and the
// bucket's settings; loading it again changes nothing.
func TestDumpBringsBackEverything(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(t)
	w.must("bucket", "set", "--max-versions", "7")
	w.withStore(func(_ *engine.Engine, b *versioning.Bucket) {
		ctx := t.Context()
		for range 600 {
			key := fmt.Appendf(nil, "k%d\x00\xff", rng.IntN(40))
			var err error
			switch rng.IntN(10) {
			case 0:
				if _, err = b.Get(ctx, key); err == nil {
					_, err = b.Delete(ctx, key, nil)
				} else {
					err = nil
				}
			case 1:
				_, err = b.Put(ctx, key, nil, &versioning.PutOptions{ExpireAt: w.wall.Add(time.Duration(1+rng.IntN(1e9)) * time.Second)})
			default:
				mark := rng.IntN(5) == 0
				_, err = b.Put(ctx, key, fmt.Appendf(nil, "%x", rng.Uint64()), &versioning.PutOptions{Vacuumable: &mark})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	w.must("vacuum", "run", "--keep-newest", "3")
	first, second := filepath.Join(w.dir, "first"), filepath.Join(w.dir, "second")
	w.must("kv", "dump", first)
	w.env["PLEIADES_DIR"] = filepath.Join(w.dir, "copy")
	w.must("kv", "load", first, "--batch", "13")
	w.must("kv", "dump", second)
	w.must("check")
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) < 10_000 || !bytes.Equal(a[dumpSettings:dumpHead], b[dumpSettings:dumpHead]) || !bytes.Equal(a[dumpHead+4:], b[dumpHead+4:]) {
		t.Fatalf("%d bytes became %d others", len(a), len(b))
	}
	if r := w.run("kv", "load", first); r.code != exit.OK || !bytes.HasPrefix([]byte(r.out), []byte("loaded 0, ")) {
		t.Fatalf("%+v", r)
	}
}

// TestDamagedDump: what stands in front of the damage is loaded, the exit code is 7, and the whole dump completes it.
func TestDamagedDump(t *testing.T) {
	w := newWorld(t)
	w.stdin = input(40, 9)
	w.must("kv", "load", "-")
	want := w.contents()
	file := filepath.Join(w.dir, "d")
	w.must("kv", "dump", file)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	w.env["PLEIADES_DIR"] = filepath.Join(w.dir, "copy")
	for _, content := range [][]byte{bad, good[:len(good)*2/3]} {
		w.file("d", content)
		r := w.run("kv", "load", file)
		if r.code != exit.CheckFailed || r.out == "loaded 0, unchanged 0, bad 0\n" {
			t.Fatalf("%+v", r)
		}
	}
	w.file("d", good)
	w.must("kv", "load", file)
	if got := w.contents(); got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
}
