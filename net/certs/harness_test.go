package certs

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// must returns v, or ends the test.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// made is a directory with a CA, a node n1 and a client root.
func made(t testing.TB, constellation string) string {
	t.Helper()
	dir := t.TempDir()
	must[Info](t)(CreateCA(dir, &CAOptions{Constellation: constellation}))
	must[Info](t)(CreateNode(dir, &LeafOptions{Name: "n1"}))
	must[Info](t)(CreateClient(dir, nil))
	return dir
}

func open(t testing.TB, dir string, leaf Leaf, o *SourceOptions) *Source {
	t.Helper()
	s := must[*Source](t)(Open(dir, leaf, o))
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// shaken is the end of a handshake on both sides.
type shaken struct {
	server, client       error
	serverTLS, clientTLS tls.ConnectionState
}

// shake makes a connection over TCP on loopback and sends a byte each way, so that refusals and tickets arrive.
func shake(t testing.TB, server, client *tls.Config) (r shaken) {
	t.Helper()
	ln := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			r.server = err
			return
		}
		r.serverTLS, r.server = talk(tls.Server(raw, server))
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r.clientTLS, r.client = talk(tls.Client(raw, client))
	<-done
	return r
}

func talk(c *tls.Conn) (tls.ConnectionState, error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if err := c.Handshake(); err != nil {
		return c.ConnectionState(), err
	}
	_, werr := c.Write([]byte{1})
	_, rerr := io.ReadFull(c, make([]byte, 1))
	if rerr != nil {
		return c.ConnectionState(), rerr // an alert is more telling than a broken pipe
	}
	return c.ConnectionState(), werr
}

// wantError fails unless err is an *Error over kind with a way out.
func wantError(t testing.TB, what string, err, kind error) {
	t.Helper()
	var e *Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Fix == "" || e.Detail == "" {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}
