package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/node"
)

// TestTheCommandsOfAFixWork types what node start says about certificates.
func TestTheCommandsOfAFixWork(t *testing.T) {
	w := newWorld(t)
	_, fix := exit.Of(nodeStartError(node.ErrNeedsCertificates, node.Defaults()))
	place := strings.NewReplacer("$D", filepath.Join(w.dir, "certs"), "HOST-OR-IP,...", "192.0.2.7")
	typed := 0
	for part := range strings.SplitSeq(fix, "; ") {
		if command, ok := strings.CutPrefix(strings.TrimPrefix(part, "make them: "), "pleiades "); ok {
			w.must(strings.Fields(place.Replace(command))...)
			typed++
		}
	}
	if typed != 3 {
		t.Errorf("%d commands in %q, want 3", typed, fix)
	}
	w.must("doctor", "--certs-dir", filepath.Join(w.dir, "certs"))
}

func TestUsageText(t *testing.T) {
	for message, want := range map[string]string{
		`invalid argument "x" for "--version" flag: strconv.ParseInt: parsing "x": invalid syntax`:       `invalid argument "x" for "--version" flag: not a number`,
		`invalid argument "9e9" for "--limit" flag: strconv.ParseInt: parsing "9e9": value out of range`: `invalid argument "9e9" for "--limit" flag: out of range`,
		`invalid argument "x" for "--yes" flag: strconv.ParseBool: parsing "x": invalid syntax`:          `invalid argument "x" for "--yes" flag: neither true nor false`,
		`unknown command "extra" for "pleiades check"`:                                                   `takes no argument, received "extra"`,
		`unknown flag: --x`: `unknown flag: --x`,
	} {
		if got := usageText(message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
}

// TestErrorsAtANode looks at what is said when a node does not answer, has a wrong address, or gets a bad line.
func TestErrorsAtANode(t *testing.T) {
	w := newWorld(t)
	n := nodetest.Start(t, &nodetest.Options{Dir: w.dir})
	delete(w.env, "PLEIADES_DIR")
	w.env["PLEIADES_ADDR"], w.env["PLEIADES_CERTS_DIR"] = n.Addr(), n.CertsDir()
	says := func(r result, code exit.Code, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if r.code != code || !strings.Contains(r.err, p) {
				t.Errorf("exit %d, %s; want %d and %q", r.code, r.err, code, p)
			}
		}
	}
	bad := w.file("bad.jsonl", []byte(`{"key":"a","value":"1"}`+"\n"+`no JSON`+"\n"))
	says(w.run("kv", "load", bad), exit.Failure, "line 2", "--skip-unchanged") // a node keeps no note of where it stopped
	says(w.run("kv", "get", "a", "--addr", "127.0.0.1"), exit.Usage, "HOST:PORT")
	n.Stop()
	says(w.run("kv", "get", "a", "--timeout", "200ms"), exit.Unavailable, n.Addr(), "200ms", "check --addr")
}
