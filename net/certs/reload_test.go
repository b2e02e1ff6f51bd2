package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// copied copies the named files from one directory to another, which is made.
func copied(t testing.TB, from, to string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b := must[[]byte](t)(os.ReadFile(filepath.Join(from, name)))
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func reload(t testing.TB, s *Source, want bool) {
	t.Helper()
	if changed, err := s.Reload(); err != nil || changed != want {
		t.Fatalf("reload: changed %v, %v; want %v", changed, err, want)
	}
}

// TestRotationOfEverything: the whole story of a CA's end, with a node and a client on other machines that copy files one
// by one. They meet after every step, and in the end the old certificates are worth nothing.
func TestRotationOfEverything(t *testing.T) {
	home := made(t, "demo")
	nodeDir, clientDir, strayDir := t.TempDir(), t.TempDir(), t.TempDir()
	copied(t, home, nodeDir, "ca.crt", "node.crt", "node.key")
	copied(t, home, clientDir, "ca.crt", "client.root.crt", "client.root.key")
	copied(t, home, strayDir, "ca.crt", "client.root.crt", "client.root.key")
	node, client := open(t, nodeDir, NodeLeaf, nil), open(t, clientDir, ClientLeaf("root"), nil)
	stray := open(t, strayDir, ClientLeaf("root"), nil)
	server, dial := node.ServerTLS(clientProtocol), client.ClientTLS(clientProtocol, Peer{Name: "n1"})
	var told []bool
	defer node.OnChange(func(removed bool) { told = append(told, removed) })()
	meet := func(step string) {
		t.Helper()
		if r := shake(t, server, dial); r.server != nil || r.client != nil {
			t.Fatalf("%s: server %v, client %v", step, r.server, r.client)
		}
	}
	meet("at first")
	reload(t, node, false)
	old := node.Identity()

	newCA := must[Info](t)(RotateCA(home, nil))
	copied(t, home, nodeDir, "ca.crt")
	meet("with the new CA's file in place")
	reload(t, node, true)
	meet("with the new CA known to the node")
	_, err := RetireCAs(home, false)
	wantError(t, "retiring too early", err, ErrInUse)
	copied(t, home, clientDir, "ca.crt")
	reload(t, client, true)

	if i := must[Info](t)(Rotate(home, NodeLeaf, nil)); i.Issuer != newCA.Identity.Name || !slices.Equal(i.Hosts, LoopbackHosts()) || i.Identity.Name != "n1" {
		t.Errorf("rotated: %+v", i)
	}
	copied(t, home, nodeDir, "node.crt")
	_, err = node.Reload()
	wantError(t, "half copied", err, ErrKeyMismatch)
	meet("half copied")
	copied(t, home, nodeDir, "node.key")
	reload(t, node, true)
	meet("with the node's new certificate")
	if id := node.Identity(); id.Serial == old.Serial || !id.Same(old) {
		t.Errorf("identity %+v, was %+v", id, old)
	}
	must[Info](t)(Rotate(home, ClientLeaf("root"), nil))
	copied(t, home, clientDir, "client.root.crt", "client.root.key")
	reload(t, client, true)
	meet("with the client's new certificate")

	retired := must[[]Info](t)(RetireCAs(home, false))
	if len(retired) != 1 || retired[0].Identity.Role != RoleCA {
		t.Errorf("retired %+v", retired)
	}
	copied(t, home, nodeDir, "ca.crt")
	reload(t, node, true)
	copied(t, home, clientDir, "ca.crt")
	reload(t, client, true)
	meet("without the old CA")
	if want := []bool{false, false, true}; !slices.Equal(told, want) {
		t.Errorf("hooks were told %v, want %v", told, want)
	}
	r := shake(t, server, stray.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "the old client", r.client, ErrUnknownCA)
	if again := must[[]Info](t)(RetireCAs(home, false)); len(again) != 0 {
		t.Errorf("retired again: %+v", again)
	}
}

// resumer is a client whose sessions are resumed.
func resumer(t testing.TB, s *Source, want Peer) *tls.Config {
	c := s.ClientTLS(clientProtocol, want)
	c.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	return c
}

func TestResumption(t *testing.T) {
	dir := made(t, "demo")
	now := time.Now()
	clock := &SourceOptions{Now: func() time.Time { return now }}
	node, client := open(t, dir, NodeLeaf, clock), open(t, dir, ClientLeaf("root"), clock)
	server, dial := node.ServerTLS(clientProtocol, NodeProtocol), resumer(t, client, Peer{Name: "n1"})
	expect := func(step string, resumed bool) {
		t.Helper()
		r := shake(t, server, dial)
		if r.server != nil || r.client != nil || r.serverTLS.DidResume != resumed || r.clientTLS.DidResume != resumed {
			t.Fatalf("%s: server %v, client %v, resumed %v", step, r.server, r.client, r.serverTLS.DidResume)
		}
	}
	expect("first", false)
	expect("second", true)
	now = now.Add(ticketKeyAge)
	expect("with the key before", true)
	now = now.Add(ticketKeyAge)
	expect("with the key before that", true) // the last handshake brought a new ticket
	now = now.Add(2 * ticketKeyAge)
	expect("after two keys", false)
	expect("and again", true)

	// The same session on the protocol of nodes: tickets are neither given nor taken.
	nodes := node.ClientTLS(NodeProtocol, Peer{})
	nodes.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	nodes.SessionTicketsDisabled = false
	for range 2 {
		if r := shake(t, server, nodes); r.server != nil || r.serverTLS.DidResume || r.clientTLS.DidResume {
			t.Fatalf("node: %v, resumed %v", r.server, r.serverTLS.DidResume)
		}
	}
	// A client's session is not resumed on the protocol of nodes either.
	dial.NextProtos = []string{NodeProtocol}
	r := shake(t, server, dial)
	wantError(t, "a session on the wrong protocol", r.server, ErrWrongRole)
}

// TestResumptionAfterTheCAIsGone: neither side resumes a session with a peer whose CA it does not trust any more, even if
// the other still holds the ticket and its key.
func TestResumptionAfterTheCAIsGone(t *testing.T) {
	prepare := func(t *testing.T) (home string, node, client *Source, server, dial *tls.Config) {
		home = made(t, "demo")
		nodeDir, clientDir := t.TempDir(), t.TempDir()
		copied(t, home, nodeDir, "ca.crt", "node.crt", "node.key")
		copied(t, home, clientDir, "ca.crt", "client.root.crt", "client.root.key")
		node, client = open(t, nodeDir, NodeLeaf, nil), open(t, clientDir, ClientLeaf("root"), nil)
		server, dial = node.ServerTLS(clientProtocol), resumer(t, client, Peer{Name: "n1"})
		for i := range 2 {
			if r := shake(t, server, dial); r.client != nil || r.clientTLS.DidResume != (i == 1) {
				t.Fatalf("%v, resumed %v", r.client, r.clientTLS.DidResume)
			}
		}
		must[Info](t)(RotateCA(home, nil))
		must[Info](t)(Rotate(home, NodeLeaf, nil))
		must[Info](t)(Rotate(home, ClientLeaf("root"), nil))
		must[[]Info](t)(RetireCAs(home, false))
		return home, node, client, server, dial
	}
	t.Run("on the server", func(t *testing.T) {
		home, node, client, server, dial := prepare(t)
		copied(t, home, node.dir, "ca.crt", "node.crt", "node.key")
		reload(t, node, true)
		r := shake(t, server, dial)
		if r.serverTLS.DidResume {
			t.Error("resumed")
		}
		wantError(t, "client", r.client, ErrUnknownCA) // it has not heard of the new CA
		// With the tickets' key still there (an endpoint that kept it), VerifyConnection decides.
		cs := tls.ConnectionState{DidResume: true, NegotiatedProtocol: clientProtocol, PeerCertificates: []*x509.Certificate{client.live.Load().creds.cert.Leaf}}
		wantError(t, "resumed with the old certificate", node.verifyClient(cs), ErrUnknownCA)
	})
	t.Run("on the client", func(t *testing.T) {
		home, _, client, server, dial := prepare(t)
		copied(t, home, client.dir, "ca.crt", "client.root.crt", "client.root.key")
		reload(t, client, true)
		r := shake(t, server, dial) // the server resumes; the client must not
		wantError(t, "client", r.client, ErrUnknownCA)
		if !r.clientTLS.DidResume && r.server == nil {
			t.Error("nothing was refused")
		}
	})
}

// TestWhatIsRememberedRunsOut: a certificate that was verified once is refused when it, or its CA, has run out.
func TestWhatIsRememberedRunsOut(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	must[Info](t)(CreateCA(dir, &CAOptions{TTL: 3 * time.Hour}))
	must[Info](t)(CreateNode(dir, &LeafOptions{Name: "n1", TTL: time.Hour}))
	must[Info](t)(CreateClient(dir, nil))
	client := open(t, dir, ClientLeaf("root"), &SourceOptions{Now: func() time.Time { return now }})
	cert := must[*credentials](t)(open(t, dir, NodeLeaf, nil).loadOnce()).cert.Leaf
	for range 2 {
		if id, err := client.VerifyPeer(cert, Peer{}); err != nil || id.Name != "n1" {
			t.Fatal(id, err)
		}
	}
	was := now
	now = was.Add(2 * time.Hour)
	_, err := client.VerifyPeer(cert, Peer{})
	wantError(t, "the leaf", err, ErrExpired)
	now = was.Add(-time.Hour)
	_, err = client.VerifyPeer(cert, Peer{})
	wantError(t, "too early", err, ErrNotYetValid)
	now = was
	for i := range maxVerified + 1 { // others push it out, and it comes back
		client.live.Load().creds.mu.verified[[32]byte{byte(i), byte(i >> 8), 1}] = verified{}
	}
	forged := *cert
	forged.Raw = append([]byte{0}, cert.Raw...)
	forged.Signature = append([]byte{}, cert.Signature[1:]...)
	_, err = client.VerifyPeer(&forged, Peer{})
	if err == nil {
		t.Error("another certificate passes for a verified one")
	}
	if _, err := client.VerifyPeer(cert, Peer{}); err != nil {
		t.Error(err)
	}
}

// BenchmarkVerifyPeer is what a handshake pays for looking at its peer.
func BenchmarkVerifyPeer(b *testing.B) {
	dir := made(b, "demo")
	client := open(b, dir, ClientLeaf("root"), nil)
	cert := must[*credentials](b)(open(b, dir, NodeLeaf, nil).loadOnce()).cert.Leaf
	for _, remembered := range []bool{false, true} {
		b.Run(fmt.Sprintf("remembered=%v", remembered), func(b *testing.B) {
			for b.Loop() {
				if !remembered {
					clear(client.live.Load().creds.mu.verified)
				}
				if _, err := client.VerifyPeer(cert, Peer{Name: "n1"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestReloadKeepsTheIdentity: files of another node do not turn a running process into it.
func TestReloadKeepsTheIdentity(t *testing.T) {
	dir, other := made(t, "demo"), t.TempDir()
	must[Info](t)(CreateCA(other, &CAOptions{Constellation: "demo"}))
	must[Info](t)(CreateNode(other, &LeafOptions{Name: "n2"}))
	s := open(t, dir, NodeLeaf, nil)
	copied(t, other, dir, "ca.crt", "node.crt", "node.key")
	_, err := s.Reload()
	wantError(t, "another node", err, ErrIdentityChanged)
	if s.Identity().Name != "n1" {
		t.Error(s.Identity())
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Reload()
	wantError(t, "closed", err, ErrClosed)
	_, err = s.VerifyPeer(nil, Peer{})
	wantError(t, "closed", err, ErrClosed)
	r := shake(t, s.ServerTLS(clientProtocol), s.ClientTLS(clientProtocol, Peer{}))
	wantError(t, "server closed", r.server, ErrClosed)
	if s.Identity() != (Identity{}) {
		t.Error(s.Identity())
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := made(t, "demo")
		s := must[*Source](t)(Open(dir, NodeLeaf, nil))
		ctx, cancel := context.WithCancel(t.Context())
		var changes, failures atomic.Int32
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Watch(ctx, time.Second, func(_ bool, err error) {
				if err != nil {
					failures.Add(1)
					return
				}
				changes.Add(1)
			})
		}()
		expect := func(wantChanges, wantFailures int32) {
			t.Helper()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			c, f := changes.Load(), failures.Load()
			if c != wantChanges || f < wantFailures || wantFailures == 0 && f != 0 {
				t.Fatalf("%d changes, %d failures; want %d, %d", c, f, wantChanges, wantFailures)
			}
		}
		expect(0, 0)
		must[Info](t)(Rotate(dir, NodeLeaf, nil))
		expect(1, 0)
		if err := os.Rename(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "x")); err != nil {
			t.Fatal(err)
		}
		expect(1, 1)
		cancel()
		<-ended
		if err := os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "ca.crt")); err != nil {
			t.Fatal(err)
		}
		go func() { time.Sleep(2500 * time.Millisecond); _ = s.Close() }()
		s.Watch(t.Context(), time.Second, nil) // ends by itself after Close
	})
}

// TestRotateUnderHandshakes: while leaves and CA are rotated as fast as they can be, every handshake succeeds, and every
// reload finds a pair that fits.
func TestRotateUnderHandshakes(t *testing.T) {
	dir := made(t, "demo")
	node, client := open(t, dir, NodeLeaf, nil), open(t, dir, ClientLeaf("root"), nil)
	server, dial := node.ServerTLS(clientProtocol), resumer(t, client, Peer{Name: "n1"})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	reloads := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, s := range []*Source{node, client} {
				if _, err := s.Reload(); err != nil {
					t.Errorf("reload: %v", err)
					return
				}
				reloads++
			}
		}
	})
	handshakes := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if r := shake(t, server, dial); r.server != nil || r.client != nil {
				t.Errorf("handshake: server %v, client %v", r.server, r.client)
				return
			}
			handshakes++
		}
	})
	for i := range 60 {
		leaf := []Leaf{NodeLeaf, ClientLeaf("root")}[i%2]
		if i%20 == 19 {
			if _, err := RotateCA(dir, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Rotate(dir, leaf, nil); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if reloads < 20 || handshakes < 5 {
		t.Errorf("only %d reloads and %d handshakes", reloads, handshakes)
	}
}
