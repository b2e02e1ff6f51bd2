package cli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
)

// TestLoadRidesThroughRestarts loads while the node is cut off and stopped: every record is there once.
func TestLoadRidesThroughRestarts(t *testing.T) {
	const records, restarts = 6000, 3
	w := newWorld(t)
	n := nodetest.Start(t, &nodetest.Options{Dir: w.dir})
	delete(w.env, "PLEIADES_DIR")
	w.env["PLEIADES_ADDR"], w.env["PLEIADES_CERTS_DIR"] = n.Addr(), n.CertsDir()
	var in bytes.Buffer
	for i := range records {
		fmt.Fprintf(&in, `{"key":"k%05d","value":"%d %s"}`+"\n", i, i, strings.Repeat("x", 100))
	}
	in.WriteString(`{"key":"","value":"an empty key is bad"}` + "\n" + `{"key":"k00000","value":"again"}` + "\n")
	path := w.file("in.jsonl", in.Bytes())

	loaded := make(chan result, 1)
	var out, errs bytes.Buffer
	app := w.app(&out, &errs)
	app.Wall = nil
	go func() {
		code := app.Run(context.Background(), []string{"kv", "load", path, "--batch", "50", "--on-error", "skip"})
		loaded <- result{out.String(), errs.String(), code}
	}()
	c, err := client.Open(t.Context(), []string{n.Addr()}, &client.Options{Certs: n.Certs()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := c.Bucket("")
	for i := 1; i <= restarts; i++ {
		for { // until the load has come further
			count, err := b.Count(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if count >= uint64(records*i/(restarts+2)) {
				break
			}
		}
		if i%2 == 0 {
			n.Stop()
		} else {
			n.Cut()
		}
		n.Start()
	}
	r := <-loaded
	if r.code != exit.OK || !strings.Contains(r.out, fmt.Sprintf("loaded %d, unchanged 0, bad 1", records+1)) {
		t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	seen := 0
	for e, err := range b.Scan(t.Context(), nil) {
		want := 1
		if string(e.Key) == "k00000" {
			want = 2
		}
		if err != nil || e.Descriptor.Versions != want {
			t.Fatalf("%s has %d versions, %v", e.Key, e.Descriptor.Versions, err)
		}
		seen++
	}
	if seen != records {
		t.Errorf("%d keys", seen)
	}
	if v, err := b.Get(t.Context(), []byte("k00000")); err != nil || string(v.Data) != "again" {
		t.Errorf("the later line of a key is not on top: %q, %v", v.Data, err)
	}
	again := w.must("kv", "load", path, "--on-error", "skip", "--skip-unchanged", "--max-errors", "5")
	if !strings.Contains(again, "loaded 2, unchanged 5999, bad 1") { // k00000 goes back and forth
		t.Errorf("loading it again: %s", again)
	}
}

func TestDirectoryOrNode(t *testing.T) {
	w := newWorld(t)
	n := nodetest.Start(t, &nodetest.Options{Dir: w.dir})
	dir := w.env["PLEIADES_DIR"]
	delete(w.env, "PLEIADES_DIR")
	must := func(want string, args ...string) {
		t.Helper()
		if r := w.run(args...); r.code != exit.OK || strings.TrimSpace(r.out) != want {
			t.Errorf("%q: exit %d, %s%s; want %s", args, r.code, r.out, r.err, want)
		}
	}
	w.must("--dir", dir, "kv", "put", "k", "directory")
	w.must("--addr", n.Addr(), "--certs-dir", n.CertsDir(), "kv", "put", "k", "node")

	if r := w.run("kv", "get", "k"); r.code != exit.Usage {
		t.Errorf("nothing given: exit %d, %s", r.code, r.err)
	}
	w.file("config/pleiades/contexts/here.toml", fmt.Appendf(nil, "addr = %q\ncerts-dir = %q\n", n.Addr(), n.CertsDir()))
	w.file("config/pleiades/current", []byte("here\n"))
	must("node", "kv", "get", "k")
	must("directory", "--dir", dir, "kv", "get", "k")
	w.env["PLEIADES_DIR"] = dir
	must("directory", "kv", "get", "k")
	must("node", "--addr", n.Addr(), "kv", "get", "k")
	w.env["PLEIADES_ADDR"] = n.Addr()
	if r := w.run("kv", "get", "k"); r.code != exit.Usage || !strings.Contains(r.err, "PLEIADES_DIR") {
		t.Errorf("both in the environment: exit %d, %s", r.code, r.err)
	}
	if r := w.run("--dir", dir, "--addr", n.Addr(), "kv", "get", "k"); r.code != exit.Usage {
		t.Errorf("both as flags: exit %d, %s", r.code, r.err)
	}
	must("directory", "--dir", dir, "kv", "get", "k")
	delete(w.env, "PLEIADES_DIR")
	if r := w.run("check"); r.code != exit.Usage || !strings.Contains(r.err, "directory") {
		t.Errorf("check at a node: exit %d, %s", r.code, r.err)
	}
	if r := w.run("--certs-dir", filepath.Join(w.dir, "none"), "kv", "get", "k"); r.code != exit.NotFound {
		t.Errorf("no certificates: exit %d, %s", r.code, r.err)
	}
	n.Stop()
	if r := w.run("kv", "get", "k", "--timeout", "2s"); r.code != exit.Unavailable || !strings.Contains(r.err, "waiting for "+n.Addr()) {
		t.Errorf("a node that is down: exit %d, %s", r.code, r.err)
	}
}

func TestAdministration(t *testing.T) {
	w := newWorld(t)
	n := nodetest.Start(t, &nodetest.Options{Dir: w.dir})
	delete(w.env, "PLEIADES_DIR")
	w.env["PLEIADES_ADDR"], w.env["PLEIADES_CERTS_DIR"] = n.Addr(), n.CertsDir()
	has := func(out string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("no %q in:\n%s", p, out)
			}
		}
	}
	has(w.must("account", "create", "maia", "--max-buckets", "1", "-o", "json"), `"name": "maia"`, `"max_buckets": 1`, `"max_keys": null`)
	has(w.must("bucket", "create", "maia/stars", "--max-versions", "3", "--rollover", "refuse"), "stars", "refuse")
	if r := w.run("bucket", "create", "more", "--account", "maia"); r.code != exit.Denied {
		t.Errorf("a bucket too many: exit %d, %s", r.code, r.err)
	}
	has(w.must("account", "set", "maia", "--max-keys", "2", "-o", "json"), `"max_buckets": 1`, `"max_keys": 2`)
	w.must("-B", "maia/stars", "kv", "put", "a", "1")
	w.must("-B", "stars", "--account", "maia", "kv", "put", "b", "2")
	if r := w.run("-B", "maia/stars", "kv", "put", "c", "3"); r.code != exit.Denied {
		t.Errorf("over the quota: exit %d, %s", r.code, r.err)
	}
	has(w.must("bucket", "set", "maia/stars", "--max-versions", "5", "--max-bytes", "1000"), "5", "1000")
	has(w.must("bucket", "list", "--all", "-o", "jsonl"), `"name":"default"`, `"name":"stars"`)
	has(w.must("account", "list", "-o", "raw"), "default\nmaia\n")
	has(w.must("account", "show", "maia", "-o", "yaml"), "buckets: 1", "keys: 2")
	if r := w.run("bucket", "delete", "maia/stars", "--only-empty", "--yes"); r.code != exit.Conflict {
		t.Errorf("a bucket that is not empty: exit %d, %s", r.code, r.err)
	}
	if r := w.run("bucket", "delete", "maia/stars"); r.code != exit.Usage {
		t.Errorf("without an answer: exit %d, %s", r.code, r.err)
	}
	has(w.must("account", "delete", "maia", "--yes"), "removed 2 keys")
	if r := w.run("account", "show", "maia"); r.code != exit.NotFound {
		t.Errorf("a removed account: exit %d, %s", r.code, r.err)
	}
	has(w.must("fabric", "ping", "-n", "3", "-i", "0s"), "3 sent, 0 lost")
	has(w.must("fabric", "ping", "-n", "2", "-i", "0s", "-o", "json"), `"lost": 0`, `"mdev_us"`)
	has(w.must("net", "contexts", "-o", "jsonl"), `"service":"system"`, `"in_flight":1,`)
	has(w.must("bench", "--addr", n.Addr(), "-n", "100", "--duration", "100ms", "--warmup", "10ms", "--in-flight", "4"), `"workload":"put"`, `"p99_us"`)
}
