package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/net/certs"
)

// certRowJSON is what the commands of certificates print with -o json.
type certRowJSON struct {
	Certificate, Key, Role, Name, Constellation, Hosts, From, Until, Serial, Problem string

	SignedBy string `json:"signed_by"`
}

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestCertificatesFromBirthToRotation drives the commands through a constellation's life.
func TestCertificatesFromBirthToRotation(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "certs")
	w.env["PLEIADES_CERTS_DIR"] = dir
	ca := decoded[certRowJSON](t, w.must("cert", "create-ca", "--constellation", "demo", "-o", "json"))
	if ca.Role != "ca" || ca.Constellation != "demo" || ca.Key != filepath.Join(dir, "ca.key") || ca.From != "2025-12-31T23:55:01Z" {
		t.Errorf("%+v", ca)
	}
	node := decoded[certRowJSON](t, w.must("cert", "create-node", "n1", "--san", "db.example.com,192.0.2.7", "--ttl", "90d", "-o", "json"))
	if node.Name != "n1" || node.Hosts != "db.example.com,192.0.2.7" || node.SignedBy != ca.Name || node.Until != "2026-04-01T00:00:02Z" {
		t.Errorf("%+v", node)
	}
	w.must("cert", "create-client")
	r := w.run("cert", "create-client", "ada")
	if r.code != exit.OK || !strings.Contains(r.err, "--user ada") || strings.Contains(r.out, "next") {
		t.Errorf("%+v", r)
	}
	rows := decoded[[]certRowJSON](t, w.must("cert", "show", "-o", "json"))
	if len(rows) != 4 || rows[0].Certificate != "ca.crt" || rows[1].Name != "n1" || rows[2].Name != "ada" || rows[3].Name != "root" {
		t.Errorf("%+v", rows)
	}
	table := w.must("cert", "show", "-o", "table")
	if !strings.Contains(table, "client.ada.crt") {
		t.Error(table)
	}

	second := decoded[certRowJSON](t, w.must("cert", "rotate", "--ca", "-o", "json"))
	r = w.run("cert", "rotate", "--retire-ca")
	if r.code != exit.Conflict || !strings.Contains(r.err, "pleiades cert rotate") {
		t.Errorf("%+v", r)
	}
	one := decoded[[]certRowJSON](t, w.must("cert", "rotate", "--node", "--san", "localhost", "-o", "json"))
	if len(one) != 1 || one[0].Serial == node.Serial || one[0].SignedBy != second.Name || one[0].Hosts != "localhost" {
		t.Errorf("%+v", one)
	}
	all := decoded[[]certRowJSON](t, w.must("cert", "rotate", "-o", "json"))
	if len(all) != 3 || all[0].Hosts != "localhost" || all[1].Name != "ada" || all[2].SignedBy != second.Name {
		t.Errorf("%+v", all)
	}
	if gone := decoded[[]certRowJSON](t, w.must("cert", "rotate", "--retire-ca", "-o", "json")); len(gone) != 1 || gone[0].Name != ca.Name {
		t.Errorf("%+v", gone)
	}
	if none := decoded[[]certRowJSON](t, w.must("cert", "rotate", "--retire-ca", "-o", "json")); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	some := decoded[[]certRowJSON](t, w.must("cert", "rotate", "--client", "ada,root", "--ttl", "1h", "-o", "json"))
	if len(some) != 2 {
		t.Errorf("%+v", some)
	}
	w.wall = w.wall.Add(2 * time.Hour)
	rows = decoded[[]certRowJSON](t, w.must("cert", "show", "-o", "json"))
	if len(rows) != 4 || rows[1].Problem != "" || !strings.Contains(rows[2].Problem, "expired") || strings.Contains(rows[2].Problem, "fix:") {
		t.Errorf("%+v", rows)
	}
	s, err := certs.Open(dir, certs.NodeLeaf, &certs.SourceOptions{Now: func() time.Time { return w.wall }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateErrors: each has its exit code, and its way out on a line of its own.
func TestCertificateErrors(t *testing.T) {
	w := newWorld(t)
	if r := w.run("cert", "show"); r.code != exit.Usage || !strings.Contains(r.err, "--certs-dir DIR") {
		t.Errorf("%+v", r)
	}
	dir := filepath.Join(w.dir, "certs")
	w.env["PLEIADES_CERTS_DIR"] = dir
	for _, c := range []struct {
		args []string
		code exit.Code
		fix  string
	}{
		{[]string{"cert", "show"}, exit.NotFound, "create-ca"},
		{[]string{"cert", "rotate"}, exit.NotFound, "create-ca"},
		{[]string{"cert", "create-node"}, exit.NotFound, "create-ca"},
		{[]string{"cert", "create-ca", "--constellation", "A B"}, exit.Usage, "use 1 to 63"},
		{[]string{"cert", "create-ca", "--ttl", "1s"}, exit.Usage, "8760h"},
		{[]string{"cert", "create-ca"}, exit.OK, ""},
		{[]string{"cert", "create-ca"}, exit.Conflict, "rotate --ca"},
		{[]string{"cert", "rotate"}, exit.NotFound, "create-node"},
		{[]string{"cert", "rotate", "--node"}, exit.NotFound, "create-node"},
		{[]string{"cert", "rotate", "--client", "../x"}, exit.Usage, "use 1 to 63"},
		{[]string{"cert", "rotate", "--force"}, exit.Usage, "--retire-ca"},
		{[]string{"cert", "rotate", "--san", "a"}, exit.Usage, "--node"},
		{[]string{"cert", "rotate", "--ca", "--retire-ca"}, exit.Usage, "--help"},
		{[]string{"cert", "create-node", ""}, exit.Usage, "leave it out"},
		{[]string{"cert", "create-client", ""}, exit.Usage, "leave it out"},
		{[]string{"cert", "create-client", "Ada"}, exit.Usage, "use 1 to 63"},
		{[]string{"cert", "create-node", "--san", "a:1"}, exit.Usage, "without a port"},
	} {
		r := w.run(c.args...)
		_, fix, _ := strings.Cut(r.err, "  fix: ")
		if r.code != c.code || c.code != exit.OK && (!strings.Contains(fix, c.fix) || strings.Count(r.err, "fix:") != 1) {
			t.Errorf("%q: exit %d\n%s", c.args, r.code, r.err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := w.run("cert", "create-client"); r.code != exit.Denied || !strings.Contains(r.err, "fix: chmod 600 "+filepath.Join(dir, "ca.key")) {
		t.Errorf("%+v", r)
	}
}
