package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "certs")
	_, err := CreateNode(dir, nil)
	wantError(t, "a node without a CA", err, ErrNoCA)
	ca := must[Info](t)(CreateCA(dir, nil))
	if ca.Identity.Constellation != DefaultConstellation || ca.Identity.Role != RoleCA || ca.Issuer != ca.Identity.Name {
		t.Errorf("%+v", ca)
	}
	node := must[Info](t)(CreateNode(dir, nil))
	if !slices.Equal(node.Hosts, LoopbackHosts()) || !strings.HasPrefix(node.Identity.Name, "n-") || node.Issuer != ca.Identity.Name {
		t.Errorf("%+v", node)
	}
	client := must[Info](t)(CreateClient(dir, &LeafOptions{Name: "a.b-c_9", TTL: time.Hour}))
	if d := time.Until(client.Identity.NotAfter); d > time.Hour || d < time.Hour-time.Minute {
		t.Errorf("valid for %s", d)
	}
	for _, name := range []string{"ca", "node", "client.a.b-c_9"} {
		if info := must[fs.FileInfo](t)(os.Stat(filepath.Join(dir, name+".key"))); info.Mode() != 0o600 {
			t.Errorf("%s.key has mode %v", name, info.Mode())
		}
	}
	if info := must[fs.FileInfo](t)(os.Stat(dir)); info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v", info.Mode())
	}
	if entries := must[[]fs.DirEntry](t)(os.ReadDir(dir)); len(entries) != 6 {
		t.Errorf("left behind: %v", entries)
	}
	_, err = CreateCA(dir, nil)
	wantError(t, "a second CA", err, ErrExists)
	_, err = CreateNode(dir, nil)
	wantError(t, "a second node", err, ErrExists)
	_, err = CreateClient(dir, &LeafOptions{Name: "a.b-c_9"})
	wantError(t, "a second client", err, ErrExists)
	must[Info](t)(CreateClient(dir, nil))
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []CAOptions{{Constellation: "A"}, {Constellation: "a.b"}, {Constellation: "-a"}, {Constellation: strings.Repeat("a", 64)}} {
		_, err := CreateCA(dir, &o)
		wantError(t, o.Constellation, err, ErrName)
	}
	for _, d := range []time.Duration{-1, time.Second, MaxTTL + 1} {
		_, err := CreateCA(dir, &CAOptions{TTL: d})
		wantError(t, d.String(), err, ErrOptions)
	}
	_, err := CreateCA("", nil)
	wantError(t, "no directory", err, ErrOptions)
	now := time.Now()
	must[Info](t)(CreateCA(dir, &CAOptions{TTL: 24 * time.Hour}))
	for _, name := range []string{"Ada", "a b", "../a", "a/b", ".", "a.", "ä", "a\x00", strings.Repeat("a", 64)} {
		_, err := CreateNode(dir, &LeafOptions{Name: name})
		wantError(t, "node "+name, err, ErrName)
		_, err = CreateClient(dir, &LeafOptions{Name: name})
		wantError(t, "client "+name, err, ErrName)
	}
	for _, host := range []string{"", "a b", "host:7420", "[::1]:7420", "fe80::1%eth0", "-a", "a..b", "*", "*.*.a", strings.Repeat("a.", 127) + "com"} {
		_, err := CreateNode(dir, &LeafOptions{Hosts: []string{host}})
		wantError(t, "host "+host, err, ErrName)
	}
	_, err = CreateNode(dir, &LeafOptions{Hosts: make([]string, maxHosts+1)})
	wantError(t, "many hosts", err, ErrOptions)
	_, err = CreateClient(dir, &LeafOptions{Hosts: []string{"localhost"}})
	wantError(t, "a client's hosts", err, ErrOptions)
	_, err = CreateNode(dir, &LeafOptions{TTL: time.Second})
	wantError(t, "a short time", err, ErrOptions)
	if entries := must[[]fs.DirEntry](t)(os.ReadDir(dir)); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	// A leaf ends with its CA at the latest, and a CA that has run out signs nothing.
	i := must[Info](t)(CreateNode(dir, &LeafOptions{Hosts: []string{"*.Example.com", "::ffff:192.0.2.1", "[::1]"}}))
	if i.Identity.NotAfter.After(now.Add(24 * time.Hour)) {
		t.Errorf("valid until %v", i.Identity.NotAfter)
	}
	if want := []string{"*.example.com", "192.0.2.1", "::1"}; !slices.Equal(i.Hosts, want) {
		t.Errorf("hosts %v", i.Hosts)
	}
	_, err = CreateClient(dir, &LeafOptions{Now: func() time.Time { return now.Add(25 * time.Hour) }})
	wantError(t, "an old CA", err, ErrExpired)
	_, err = Rotate(dir, NodeLeaf, &LeafOptions{Name: "n2"})
	wantError(t, "a new name", err, ErrOptions)
	_, err = Rotate(dir, ClientLeaf("ada"), nil)
	wantError(t, "nobody's", err, ErrNoCertificate)
	_, err = RotateCA(dir, &CAOptions{Constellation: "other"})
	wantError(t, "another constellation", err, ErrOptions)
	for range maxCAs - 1 {
		must[Info](t)(RotateCA(dir, nil))
	}
	_, err = RotateCA(dir, nil)
	wantError(t, "many CAs", err, ErrBadCertificate)
	if retired := must[[]Info](t)(RetireCAs(dir, true)); len(retired) != maxCAs-1 {
		t.Errorf("%d retired", len(retired))
	}
}

// TestCrashWhileRotating stops a rotation before each of its steps. Open finds a pair that fits at every moment, and the
// next rotation goes through.
func TestCrashWhileRotating(t *testing.T) {
	for step, want := range []string{"key.next written", "certificate renamed", "key renamed"} {
		dir := made(t, "demo")
		before := open(t, dir, NodeLeaf, nil).Identity()
		saved := t.TempDir()
		copied(t, dir, saved, "node.crt", "node.key")
		after := must[Info](t)(Rotate(dir, NodeLeaf, nil)).Identity
		// Put the directory back to the moment of the crash.
		if step < 2 {
			if err := os.Rename(filepath.Join(dir, "node.key"), filepath.Join(dir, "node.key.next")); err != nil {
				t.Fatal(err)
			}
			copied(t, saved, dir, "node.key")
		}
		if step < 1 {
			copied(t, saved, dir, "node.crt")
		}
		serial := after.Serial
		if step < 1 {
			serial = before.Serial
		}
		if got := open(t, dir, NodeLeaf, nil).Identity(); got.Serial != serial {
			t.Errorf("%s: serial %s, want %s", want, got.Serial, serial)
		}
		next := must[Info](t)(Rotate(dir, NodeLeaf, nil))
		if got := open(t, dir, NodeLeaf, nil).Identity(); got != next.Identity {
			t.Errorf("%s: then %+v, want %+v", want, got, next.Identity)
		}
		if _, err := os.Stat(filepath.Join(dir, "node.key.next")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", want, err)
		}
	}
	// The CA: the certificates are in place, the key is not.
	dir := made(t, "demo")
	saved := t.TempDir()
	copied(t, dir, saved, "ca.key")
	ca := must[Info](t)(RotateCA(dir, nil))
	if err := os.Rename(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.key.next")); err != nil {
		t.Fatal(err)
	}
	copied(t, saved, dir, "ca.key")
	if i := must[Info](t)(Rotate(dir, NodeLeaf, nil)); i.Issuer != ca.Identity.Name {
		t.Errorf("signed by %s, want %s", i.Issuer, ca.Identity.Name)
	}
	// A crash in the middle of finishing: the new key alone is there.
	key := filepath.Join(dir, "node.key")
	if err := os.Rename(key, key+nextExt); err != nil {
		t.Fatal(err)
	}
	open(t, dir, NodeLeaf, nil)
	must[Info](t)(Rotate(dir, NodeLeaf, nil))
}

func TestList(t *testing.T) {
	dir := made(t, "demo")
	must[Info](t)(CreateClient(dir, &LeafOptions{Name: "ada", TTL: time.Hour}))
	must[Info](t)(CreateClient(dir, &LeafOptions{Name: "bad"}))
	must[Info](t)(RotateCA(dir, nil))
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "client.bad.crt"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(dir, "client.lone.key"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(dir, "README"), []byte("x"), 0o600),
		os.Chmod(filepath.Join(dir, "node.key"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	list := must[[]Info](t)(List(dir, time.Now().Add(2*time.Hour)))
	var got []string
	for _, i := range list {
		line := filepath.Base(i.Cert) + " " + i.Identity.Role.String()
		if i.HasKey {
			line += " key"
		}
		var e *Error
		if errors.As(i.Problem, &e) {
			line += " " + e.Kind.Error()
		} else if i.Problem != nil {
			line += " " + i.Problem.Error()
		}
		got = append(got, line)
	}
	want := []string{
		"ca.crt ca key", "ca.crt ca",
		"node.crt node " + ErrKeyMode.Error(),
		"client.ada.crt client key " + ErrExpired.Error(),
		"client.bad.crt role 0 " + ErrBadCertificate.Error(),
		"client.lone.crt role 0 " + ErrNoCertificate.Error(),
		"client.root.crt client key",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, err := List(filepath.Join(dir, "none"), time.Now())
	wantError(t, "no directory", err, ErrNoCA)
}

// FuzzParseIdentity: what is accepted is written back as it was, and holds only names.
func FuzzParseIdentity(f *testing.F) {
	for _, s := range []string{
		"pleiades://demo/node/n1", "pleiades://demo/client/a.b-c_9", "pleiades://demo/ca/20260101-0a", "pleiades://demo/node/", "pleiades://demo//n1",
		"pleiades://de.mo/node/n1", "Pleiades://demo/node/n1", "pleiades://demo/node/n1?", "pleiades://demo/node/n1#x", "pleiades://demo:1/node/n1",
		"pleiades://u@demo/node/n1", "pleiades://demo/node/n1/", "pleiades://demo/node/../n1", "pleiades://demo/node/N1", "pleiades://demo/node/n%31",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseIdentity(s)
		if err != nil {
			wantError(t, s, err, ErrNotOurs)
			return
		}
		if id.String() != s || !validName(id.Name) || !validConstellation(id.Constellation) || id.Role == 0 || Leaf("client."+id.Name).Role() != RoleClient {
			t.Errorf("%q is read as %+v", s, id)
		}
	})
}

// FuzzIdentityOf reads certificates made of any bytes: an identity comes with the uses of its role, or not at all.
func FuzzIdentityOf(f *testing.F) {
	dir := made(f, "demo")
	for _, stem := range []string{"ca", "node", "client.root"} {
		f.Add(must[[]byte](f)(os.ReadFile(filepath.Join(dir, stem+certExt))), false)
		f.Add(must[[]byte](f)(os.ReadFile(filepath.Join(dir, stem+keyExt))), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, key bool) {
		if key {
			if _, err := parseKey(b, "x"); err != nil {
				wantError(t, "key", err, ErrBadCertificate)
			}
			return
		}
		certs, err := parseCerts(b, "x", maxCAs)
		if err != nil {
			wantError(t, "certificates", err, ErrBadCertificate)
		}
		for _, c := range certs {
			id, err := IdentityOf(c)
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("untyped: %v", err)
			} else if err == nil && (id.Role == 0 || c.IsCA != (id.Role == RoleCA)) {
				t.Errorf("%+v", id)
			}
		}
	})
}

// TestIdentityOfIsStrict: a certificate whose URI is another spelling of an identity is not one of ours.
func TestIdentityOfIsStrict(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, s := range []string{
		"pleiades://demo/node/n%31", "pleiades://demo/node/n1?x=1", "pleiades://demo/node/n1#x", "pleiades://u@demo/node/n1", "pleiades://demo:1/node/n1",
		"pleiades:demo/node/n1", "pleiades://demo/node/n1/", "pleiades://Demo/node/n1", "https://demo/node/n1", "pleiades://demo/admin/n1",
	} {
		template := must[*x509.Certificate](t)(newTemplate(Identity{Role: RoleNode, Constellation: "demo", Name: "n1"}, time.Now(), time.Now().Add(time.Hour)))
		template.URIs = uri(t, s)
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		_, err := IdentityOf(must[*x509.Certificate](t)(sign(template, template, key, key)))
		wantError(t, s, err, ErrNotOurs)
	}
}
