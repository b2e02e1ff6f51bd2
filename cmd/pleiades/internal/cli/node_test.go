package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/internal/nodetest"
)

// directoryCommands are those that a node does not do, or that speak of the directory: a story at a node leaves them out.
var directoryCommands = regexp.MustCompile(`^(shard|check|keys|kv dump|vacuum plan|config|version|completion|bench)\b|--(shard|dir|compact|keys-per-second|bytes-per-second|accept-data-loss)\b|\$DIR/[^ ]*dump`)

// differs are outputs that are the same in meaning only: counters of timestamps, what the disk holds, and what only a
// directory or only a node says.
var differs = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(\d{10}\.\d{9}),\d+`), "$1,N"},
	{regexp.MustCompile(`--resume \S+`), "--resume TOKEN"},
	{regexp.MustCompile(`(?m)^.*(shard_bytes|disk_bytes).*$`), "SIZE"},
	{regexp.MustCompile(`(on disk )\S+( bytes, were )\S+`), "${1}N${2}N"},
	{regexp.MustCompile(`, read by an earlier run \d+`), ""},
}

func alike(s string) string {
	for _, d := range differs {
		s = d.re.ReplaceAllString(s, d.with)
	}
	return s
}

// nodeWorld is a world whose commands go to a node.
func nodeWorld(t *testing.T) *world {
	w := newWorld(t)
	var now atomic.Int64 // of w.wall, which the node must not read
	w.tick = func() { now.Store(w.wall.UnixNano()) }
	w.tick()
	n := nodetest.Start(t, &nodetest.Options{Dir: w.dir, Wall: func() time.Time { return time.Unix(0, now.Load()) }})
	delete(w.env, "PLEIADES_DIR")
	w.env["PLEIADES_ADDR"], w.env["PLEIADES_CERTS_DIR"] = n.Addr(), n.CertsDir()
	return w
}

// TestTheSameStoriesAtANode runs the stories of testdata in a directory and at a node, and compares what the commands print
// and how they end.
func TestTheSameStoriesAtANode(t *testing.T) {
	for name, least := range map[string]int{"put_get": 60, "scan": 30, "history": 15, "vacuum": 10} {
		t.Run(name, func(t *testing.T) {
			here, there := newWorld(t), nodeWorld(t)
			compared := 0
			datadriven.RunTest(t, filepath.Join("testdata", name+".txt"), func(t *testing.T, d *datadriven.TestData) string {
				if d.Cmd != "run" {
					here.scenario(t, d)
					there.scenario(t, d)
					return d.Expected
				}
				input := d.Input
				for line := range strings.Lines(input) {
					line = strings.TrimSpace(line)
					if directoryCommands.MatchString(line) {
						continue
					}
					d.Input = line
					want, got := alike(here.scenario(t, d)), alike(there.scenario(t, d))
					if strings.Contains(want, "no store in directory") || strings.HasPrefix(line, "bucket") {
						continue // a node always has a store, and says more about a bucket
					}
					compared++
					if want != got {
						t.Errorf("%s: %s\nin a directory:\n%sat a node:\n%s", d.Pos, line, want, got)
					}
				}
				return d.Expected
			})
			if compared < least {
				t.Errorf("compared only %d commands", compared)
			}
		})
	}
}

// TestDumpAtANode dumps a bucket at a node, loads that into a directory and dumps the directory: the dumps differ in the time
// of their headers only.
func TestDumpAtANode(t *testing.T) {
	w := nodeWorld(t)
	w.must("bucket", "set", "default", "--max-versions", "4")
	for i := range 9 {
		w.must("kv", "put", "a", strings.Repeat("x", i*1000))
	}
	w.must("kv", "put", "gone", "v")
	w.must("kv", "del", "gone", "--yes")
	w.must("kv", "put", "marked", "v", "--vacuumable")
	w.must("kv", "put", "short", "v", "--ttl", "1h")
	there, here := filepath.Join(w.dir, "there.dump"), filepath.Join(w.dir, "here.dump")
	if out := w.must("kv", "dump", there); !strings.Contains(out, "dumped 4 keys, 8 versions") {
		t.Errorf("dump at a node: %s", out)
	}
	if out := w.must("vacuum", "plan", "--all-keys", "--keep-newest", "1"); !strings.Contains(out, "4 versions") {
		t.Errorf("plan at a node: %s", out)
	}
	dir := filepath.Join(w.dir, "copy")
	w.must("--dir", dir, "kv", "load", there)
	w.must("--dir", dir, "kv", "dump", here)
	one, two := readFile(t, there), readFile(t, here)
	if len(one) < 26_000 || !bytes.Equal(one[:dumpTime], two[:dumpTime]) || !bytes.Equal(one[dumpSettings:dumpHead], two[dumpSettings:dumpHead]) ||
		!bytes.Equal(one[dumpHead+4:], two[dumpHead+4:]) {
		t.Errorf("the dumps differ: %d and %d bytes", len(one), len(two))
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
