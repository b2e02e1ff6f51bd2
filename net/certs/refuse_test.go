package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// forge signs a leaf with the CA of dir in the way of Create…, after change had its will.
func forge(t testing.TB, dir string, id Identity, now time.Time, change func(*x509.Certificate)) {
	t.Helper()
	ca, caKey, err := readPair(dir, caStem, ErrNoCA)
	if err != nil {
		t.Fatal(err)
	}
	template := must[*x509.Certificate](t)(newTemplate(id, now, now.Add(time.Hour)))
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{"localhost"}
	change(template)
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	stem := string(NodeLeaf)
	if id.Role == RoleClient {
		stem = string(ClientLeaf(id.Name))
	}
	cert := must[*x509.Certificate](t)(sign(template, ca, key, caKey))
	if err := writePair(dir, stem, []*x509.Certificate{cert}, key); err != nil {
		t.Fatal(err)
	}
}

func uri(t testing.TB, s string) []*url.URL {
	return []*url.URL{must[*url.URL](t)(url.Parse(s))}
}

// plain is the configuration of a peer that checks nothing by itself and shows the certificate of stem.
func plain(t testing.TB, dir, stem, protocol string) *tls.Config {
	t.Helper()
	cert, key, err := readPair(dir, stem, ErrNoCertificate)
	if err != nil {
		t.Fatal(err)
	}
	shown := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
	return &tls.Config{
		NextProtos: []string{protocol}, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert,
		Certificates:         []tls.Certificate{shown},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil },
	}
}

// TestServerRefuses: who dials with the wrong certificate is told so, and each reason has its own error.
func TestServerRefuses(t *testing.T) {
	dir := made(t, "demo")
	server := open(t, dir, NodeLeaf, nil).ServerTLS(clientProtocol, NodeProtocol)
	now := time.Now()
	client := Identity{Role: RoleClient, Constellation: "demo", Name: "eve"}
	asClient := func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }
	for _, c := range []struct {
		name   string
		change func(*x509.Certificate)
		want   error
	}{
		{"expired", func(c *x509.Certificate) {
			asClient(c)
			c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
		}, ErrExpired},
		{"not yet valid", func(c *x509.Certificate) { asClient(c); c.NotBefore = now.Add(30 * time.Minute) }, ErrNotYetValid},
		{"another constellation", func(c *x509.Certificate) { asClient(c); c.URIs = uri(t, "pleiades://other/client/eve") }, ErrWrongConstellation},
		{"no identity", func(c *x509.Certificate) { asClient(c); c.URIs = nil }, ErrNotOurs},
		{"two identities", func(c *x509.Certificate) { asClient(c); c.URIs = append(c.URIs, c.URIs...) }, ErrNotOurs},
		{"a stranger's identity", func(c *x509.Certificate) { asClient(c); c.URIs = uri(t, "spiffe://demo/client/eve") }, ErrNotOurs},
		{"a client made for serving", func(*x509.Certificate) {}, ErrBadCertificate},
		{"a node that cannot serve", func(c *x509.Certificate) { asClient(c); c.URIs = uri(t, "pleiades://demo/node/eve") }, ErrBadCertificate},
		{"a CA without rights", func(c *x509.Certificate) { c.URIs = uri(t, "pleiades://demo/ca/eve") }, ErrBadCertificate},
		{"a leaf that signs", func(c *x509.Certificate) { asClient(c); c.KeyUsage |= x509.KeyUsageCertSign }, ErrBadCertificate},
	} {
		forge(t, dir, client, now, c.change)
		r := shake(t, server, plain(t, dir, "client.eve", clientProtocol))
		wantError(t, c.name, Explain(r.server), c.want)
		wantError(t, c.name+", as told", Explain(r.client), ErrRefused)
	}
	forge(t, dir, client, now, asClient)
	if r := shake(t, server, plain(t, dir, "client.eve", clientProtocol)); r.server != nil || r.client != nil {
		t.Errorf("a good forgery: %v, %v", r.server, r.client)
	}
	r := shake(t, server, plain(t, made(t, "demo"), "client.root", clientProtocol))
	wantError(t, "another CA", Explain(r.server), ErrUnknownCA)
	wantError(t, "another CA, as told", Explain(r.client), ErrRefused)
	r = shake(t, server, &tls.Config{NextProtos: []string{clientProtocol}, InsecureSkipVerify: true})
	wantError(t, "no certificate, as told", Explain(r.client), ErrRefused)
	if r.server == nil {
		t.Error("no certificate: let in")
	}
	r = shake(t, server, &tls.Config{NextProtos: []string{clientProtocol}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if r.server == nil {
		t.Error("TLS 1.2: let in")
	}
}

// TestClientRefuses: a dialler meets whom it wants to meet, or nobody.
func TestClientRefuses(t *testing.T) {
	dir := made(t, "demo")
	client := open(t, dir, ClientLeaf("root"), nil)
	server := plain(t, dir, "node", clientProtocol)
	for _, c := range []struct {
		name string
		want Peer
		err  error
	}{
		{"another node", Peer{Name: "n2"}, ErrWrongName},
		{"another host", Peer{Host: "example.com"}, ErrWrongName},
		{"another address", Peer{Host: "192.0.2.1"}, ErrWrongName},
		{"another role", Peer{Role: RoleClient}, ErrWrongRole},
	} {
		r := shake(t, server, client.ClientTLS(clientProtocol, c.want))
		wantError(t, c.name, Explain(r.client), c.err)
	}
	r := shake(t, plain(t, dir, "client.root", clientProtocol), client.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "a client that serves", r.client, ErrWrongRole)
	r = shake(t, plain(t, made(t, "demo"), "node", clientProtocol), client.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "another CA", r.client, ErrUnknownCA)
	now := time.Now()
	node := Identity{Role: RoleNode, Constellation: "demo", Name: "n1"}
	forge(t, dir, node, now, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour) })
	r = shake(t, plain(t, dir, "node", clientProtocol), client.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "expired", r.client, ErrExpired)
	forge(t, dir, node, now, func(c *x509.Certificate) { c.URIs = uri(t, "pleiades://other/node/n1") })
	r = shake(t, plain(t, dir, "node", clientProtocol), client.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "another constellation", r.client, ErrWrongConstellation)
}

// TestOwnCertificateRunsOut: a dialler whose own certificate has run out says so itself.
func TestOwnCertificateRunsOut(t *testing.T) {
	dir := made(t, "demo")
	now := time.Now()
	client := open(t, dir, ClientLeaf("root"), &SourceOptions{Now: func() time.Time { return now }})
	server := plain(t, dir, "node", clientProtocol)
	if r := shake(t, server, client.ClientTLS(clientProtocol, Peer{})); r.client != nil {
		t.Fatal(r.client)
	}
	now = now.Add(DefaultTTL + time.Hour)
	must[Info](t)(Rotate(dir, NodeLeaf, &LeafOptions{Now: func() time.Time { return now }}))
	r := shake(t, plain(t, dir, "node", clientProtocol), client.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "the own one", r.client, ErrExpired)
	if !strings.Contains(r.client.Error(), "own certificate") {
		t.Error(r.client)
	}
}

// TestOpenRefuses: what is wrong with a directory has a name, and a way out.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(dir string) error
		leaf   Leaf
		want   error
	}{
		{"no directory", os.RemoveAll, NodeLeaf, ErrNoCA},
		{"no CA", func(d string) error { return os.Remove(filepath.Join(d, "ca.crt")) }, NodeLeaf, ErrNoCA},
		{"no certificate", func(d string) error { return os.Remove(filepath.Join(d, "node.crt")) }, NodeLeaf, ErrNoCertificate},
		{"no key", func(d string) error { return os.Remove(filepath.Join(d, "node.key")) }, NodeLeaf, ErrNoCertificate},
		{"no such client", func(string) error { return nil }, ClientLeaf("ada"), ErrNoCertificate},
		{"no leaf", func(string) error { return nil }, Leaf("../x"), ErrName},
		{"no client's name", func(string) error { return nil }, ClientLeaf("../../x"), ErrName},
		{"key for the group", func(d string) error { return os.Chmod(filepath.Join(d, "node.key"), 0o640) }, NodeLeaf, ErrKeyMode},
		{"key for the world", func(d string) error { return os.Chmod(filepath.Join(d, "node.key"), 0o604) }, NodeLeaf, ErrKeyMode},
		{"key of another", func(d string) error {
			return os.Rename(filepath.Join(d, "client.root.key"), filepath.Join(d, "node.key"))
		}, NodeLeaf, ErrKeyMismatch},
		{"a client's pair as the node's", func(d string) error { return move(d, "client.root", "node") }, NodeLeaf, ErrWrongRole},
		{"another client's pair", func(d string) error { return move(d, "client.root", "client.ada") }, ClientLeaf("ada"), ErrWrongRole},
		{"a directory for a file", func(d string) error { return os.Mkdir(filepath.Join(d, "client.ada.crt"), 0o700) }, ClientLeaf("ada"), ErrBadCertificate},
		{"the leaf as CA", func(d string) error { return move(d, "node", "ca") }, ClientLeaf("root"), ErrBadCertificate},
		{"another CA", func(d string) error {
			if err := os.Remove(filepath.Join(d, "ca.crt")); err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(d, "ca.key")); err != nil {
				return err
			}
			_, err := CreateCA(d, &CAOptions{Constellation: "demo"})
			return err
		}, NodeLeaf, ErrUnknownCA},
	} {
		dir := made(t, "demo")
		if err := c.change(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, c.leaf, nil)
		wantError(t, c.name, err, c.want)
	}
	dir := made(t, "demo")
	for what, at := range map[error]time.Duration{ErrExpired: DefaultTTL + time.Hour, ErrNotYetValid: -time.Hour} {
		_, err := Open(dir, NodeLeaf, &SourceOptions{Now: func() time.Time { return time.Now().Add(at) }})
		wantError(t, "the clock", err, what)
	}
}

func move(dir, from, to string) error {
	for _, ext := range []string{certExt, keyExt} {
		if err := os.Rename(filepath.Join(dir, from+ext), filepath.Join(dir, to+ext)); err != nil {
			return err
		}
	}
	return nil
}

// TestDamagedFiles: every truncation and many changes of each file are errors of this package, or harmless; never a panic.
func TestDamagedFiles(t *testing.T) {
	dir := made(t, "demo")
	for _, name := range []string{"ca.crt", "node.crt", "node.key"} {
		path := filepath.Join(dir, name)
		whole := must[[]byte](t)(os.ReadFile(path))
		try := func(what string, at int, content []byte) bool {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, NodeLeaf, nil)
			if err == nil {
				return s.Close() == nil
			}
			wantError(t, name+" "+what, err, errKindOf(err))
			return false
		}
		for i := range len(whole) - 1 { // the last byte is a line break
			if try("cut", i, whole[:i]) {
				t.Errorf("%s cut at %d of %d is accepted", name, i, len(whole))
			}
		}
		refused := 0
		for i := range whole {
			changed := append([]byte(nil), whole...)
			changed[i] ^= 0x15
			if !try("changed", i, changed) {
				refused++
			}
		}
		want := len(whole) * 95 / 100
		if name == "node.key" {
			want = len(whole) * 7 / 10 // a third of it is the public key once more, which the certificate decides
		}
		if refused < want {
			t.Errorf("%s: only %d of %d changes were refused", name, refused, len(whole))
		}
		for _, garbage := range [][]byte{nil, []byte("\n"), []byte("hello"), make([]byte, 100), []byte(strings.Repeat("x", maxFile+1)), append(whole, "tail"...)} {
			if try("garbage", 0, garbage) {
				t.Errorf("%s: garbage is accepted", name)
			}
		}
		if !try("whole", 0, whole) {
			t.Fatalf("%s: the whole file is refused", name)
		}
	}
}

// errKindOf returns the sentinel of an *Error; of any other error, something it is not.
func errKindOf(err error) error {
	for _, kind := range []error{ErrBadCertificate, ErrUnknownCA, ErrKeyMismatch, ErrNotOurs, ErrExpired, ErrNotYetValid, ErrWrongRole, ErrWrongConstellation} {
		if strings.HasPrefix(err.Error(), kind.Error()) {
			return kind
		}
	}
	return os.ErrInvalid
}
