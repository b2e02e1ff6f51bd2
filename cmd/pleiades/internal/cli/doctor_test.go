package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

type doctorRowJSON struct{ Check, Verdict, Found, Fix string }

// doctorRows runs the command and returns its rows by name; the worst of those with the same name.
func doctorRows(t *testing.T, w *world, want exit.Code, args ...string) map[string]doctorRowJSON {
	t.Helper()
	r := w.run(append([]string{"doctor", "-o", "json"}, args...)...)
	if r.code != want {
		t.Fatalf("%q: exit %d\n%s%s", args, r.code, r.out, r.err)
	}
	rows := map[string]doctorRowJSON{}
	for _, row := range decoded[[]doctorRowJSON](t, r.out) {
		rows[row.Check] = row
	}
	return rows
}

func TestDoctor(t *testing.T) {
	w := newWorld(t)
	store := w.env["PLEIADES_DIR"]
	rows := doctorRows(t, w, exit.OK)
	for _, name := range []string{"udp-receive-buffer", "udp-send-buffer", "open-files", "clock-sync", "library", "data-directory", "disk-space", "file-system"} {
		if rows[name].Verdict == "" {
			t.Errorf("no check %s: %v", name, rows)
		}
	}
	if _, err := os.Stat(store); err == nil || rows["store-clock"].Verdict != "" {
		t.Errorf("a store was made: %v", rows)
	}
	w.must("kv", "put", "a", "b")
	if err := os.Chmod(store, 0o700); err != nil {
		t.Fatal(err)
	}
	rows = doctorRows(t, w, exit.OK)
	if rows["store-clock"].Verdict != "ok" || rows["data-directory"].Verdict != "ok" || rows["certificates"].Verdict != "" {
		t.Errorf("%v", rows)
	}
	w.withStore(func(*engine.Engine, *versioning.Bucket) {
		if rows := doctorRows(t, w, exit.OK); rows["store"].Verdict != "ok" || rows["store-clock"].Verdict != "" {
			t.Errorf("%v", rows)
		}
	})

	was := w.wall
	w.wall = was.Add(-time.Hour)
	if rows := doctorRows(t, w, exit.CheckFailed); rows["store-clock"].Verdict != "fail" || !strings.Contains(rows["store-clock"].Fix, "clock") {
		t.Errorf("%v", rows)
	}
	w.wall = was
	certs := filepath.Join(w.dir, "certs")
	w.must("cert", "create-ca", "--certs-dir", certs)
	w.must("cert", "create-node", "n1", "--certs-dir", certs)
	rows = doctorRows(t, w, exit.CheckFailed, "--certs-dir", certs, "--advertise", "db.example.com")
	if rows["advertised-hosts"].Verdict != "fail" || rows["certificates"].Verdict != "ok" || rows["ca-key"].Verdict != "warn" {
		t.Errorf("%v", rows)
	}
	r := w.run("doctor", "--certs-dir", certs, "--advertise", "db.example.com", "-o", "table")
	if r.code != exit.CheckFailed || !strings.Contains(r.err, "1 of ") || strings.Contains(r.err, "invalid") {
		t.Errorf("%+v", r)
	}
	// Damage to the store is a finding, with its own way out.
	if err := os.WriteFile(filepath.Join(store, "CURRENT"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rows := doctorRows(t, w, exit.CheckFailed); rows["store"].Verdict != "fail" || rows["store"].Fix == "" {
		t.Errorf("%v", rows)
	}
}
