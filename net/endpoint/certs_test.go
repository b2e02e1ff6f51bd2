package endpoint_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// load calls a node over cached connections all the time, each caller over pairs of its own, and dials anew in between. An
// operation is sent again only if pwp says that this may be right: it was not run, or it is a read.
type load struct {
	client *endpoint.Endpoint
	addr   string

	quit    chan struct{}
	wg      sync.WaitGroup
	done    atomic.Int64 // operations
	retried atomic.Int64
}

func startLoad(t *testing.T, client *endpoint.Endpoint, addr string) *load {
	l := &load{client: client, addr: addr, quit: make(chan struct{})}
	for range 4 {
		l.wg.Go(func() { l.run(t, l.cached) })
	}
	l.wg.Go(func() { l.run(t, l.fresh) })
	return l
}

func (l *load) run(t *testing.T, operation func(last *endpoint.Conn) (*endpoint.Conn, error)) {
	var c *endpoint.Conn
	for {
		select {
		case <-l.quit:
			return
		default:
		}
		var err error
		for try := range 3 {
			if c, err = operation(c); err == nil || try == 2 ||
				!errors.Is(err, pwp.ErrNotRun) && !errors.Is(err, pwp.ErrLost) && !errors.Is(err, pwp.ErrClosed) {
				break
			}
			l.retried.Add(1)
		}
		if err != nil {
			t.Errorf("an operation failed: %v", err)
			return
		}
		l.done.Add(1)
	}
}

func (l *load) cached(*endpoint.Conn) (*endpoint.Conn, error) {
	c, err := l.client.Peer(context.Background(), l.addr, nil)
	if err != nil {
		return nil, err
	}
	return c, read(c)
}

func (l *load) fresh(*endpoint.Conn) (*endpoint.Conn, error) {
	c, err := l.client.Dial(context.Background(), l.addr, nil)
	if err != nil {
		return nil, err
	}
	err = read(c)
	if next := c.Replacement(); next != nil {
		c, err = next, read(next)
	}
	_ = c.CloseWithError(wire.CloseNone, "")
	return nil, err
}

func read(c *endpoint.Conn) error {
	client, err := c.Client()
	if err != nil {
		return errors.Join(pwp.ErrNotRun, err)
	}
	p, err := client.Open(context.Background(), wire.ServiceKVStore, nil)
	if err != nil {
		return err
	}
	_, _, err = p.Call(context.Background(), typeRead, field3([]byte("Atlas")), nil)
	return errors.Join(err, p.Close(context.Background()))
}

// more waits until the load has done n further operations.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.done.Load()
	eventually(t, "the load goes on", func() bool { return t.Failed() || l.done.Load() >= from+n })
}

// TestRollingCertificates replaces every certificate and the CA under load. No operation fails, and until the old CA is
// taken out none is even sent twice.
func TestRollingCertificates(t *testing.T) {
	dir := authority(t)
	nodeCerts, clientCerts := source(t, dir, certs.NodeLeaf), source(t, dir, root)
	n := serve(t, &endpoint.Options{Certs: nodeCerts, Early: true})
	client := open(t, &endpoint.Options{Certs: clientCerts, Early: true})
	reload := func() {
		t.Helper()
		for _, s := range []*certs.Source{nodeCerts, clientCerts} {
			_, err := s.Reload()
			check(t, err)
		}
	}
	l := startLoad(t, client, n.addr())
	defer l.wg.Wait()
	defer close(l.quit)
	l.more(t, 100)
	before, err := client.Peer(context.Background(), n.addr(), nil)
	check(t, err)
	serial := before.Identity().Serial

	steps := []struct {
		name string
		do   func() error
	}{
		{"the node's certificate", func() error { _, err := certs.Rotate(dir, certs.NodeLeaf, nil); return err }},
		{"the client's certificate", func() error { _, err := certs.Rotate(dir, root, nil); return err }},
		{"a second CA", func() error { _, err := certs.RotateCA(dir, nil); return err }},
		{"the node's, by the second CA", func() error { _, err := certs.Rotate(dir, certs.NodeLeaf, nil); return err }},
		{"the client's, by the second CA", func() error { _, err := certs.Rotate(dir, root, nil); return err }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		reload()
		l.more(t, 50)
	}
	if n := l.retried.Load(); n != 0 {
		t.Errorf("%d operations were sent twice while no CA was removed", n)
	}
	if c, err := client.Peer(context.Background(), n.addr(), nil); err != nil || c != before {
		t.Errorf("the connection did not live on: %v", err)
	}

	_, err = certs.RetireCAs(dir, false)
	check(t, err)
	reload()
	if err := ended(t, before); !errors.Is(err, endpoint.ErrUntrusted) && !errors.Is(err, endpoint.ErrOwnCertificate) {
		t.Errorf("the connection with certificates of the old CA: %v", err)
	}
	l.more(t, 50)
	now, err := client.Peer(context.Background(), n.addr(), nil)
	check(t, err)
	if now.Identity().Serial == serial {
		t.Error("the new connection has the old certificate")
	}
	t.Logf("%d operations, %d sent again when the old CA was taken out", l.done.Load(), l.retried.Load())
}

// TestRemovedCA: tickets of before are worthless, and who has only certificates of the removed CA stays out.
func TestRemovedCA(t *testing.T) {
	dir := authority(t)
	elsewhere := t.TempDir() // a client whose directory nobody rotates
	for _, f := range []string{"ca.crt", string(root) + ".crt", string(root) + ".key"} {
		b, err := os.ReadFile(filepath.Join(dir, f))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(elsewhere, f), b, 0o600))
	}
	check(t, os.Chmod(elsewhere, 0o700))
	nodeCerts := source(t, dir, certs.NodeLeaf)
	n := serve(t, &endpoint.Options{Certs: nodeCerts, Early: true})
	cache := newTickets()
	stale := open(t, &endpoint.Options{Certs: source(t, elsewhere, root), Early: true, Sessions: cache})
	warm(t, stale, n, cache)
	c := dial(t, stale, n.addr(), nil)
	call(t, pair(t, c), typeRead, "in")

	for _, step := range []func() (certs.Info, error){
		func() (certs.Info, error) { return certs.RotateCA(dir, nil) },
		func() (certs.Info, error) { return certs.Rotate(dir, certs.NodeLeaf, nil) },
	} {
		_, err := step()
		check(t, err)
	}
	_, err := certs.RetireCAs(dir, true)
	check(t, err)
	_, err = nodeCerts.Reload()
	check(t, err)
	is(t, ended(t, c), endpoint.ErrOwnCertificate)
	reads := n.reads.Load()
	c, err = stale.Dial(context.Background(), n.addr(), nil) // on a ticket that the node gave
	if err == nil {
		p := pair(t, c)
		if _, _, err := p.Call(context.Background(), typeRead, nil, nil); err == nil {
			t.Error("a stranger was served")
		}
		if next := c.Replacement(); next != nil {
			c = next
		}
		err = ended(t, c)
	}
	is(t, err, endpoint.ErrPeerCertificate, certs.ErrUnknownCA)
	if n.reads.Load() != reads {
		t.Error("early data of a stranger was run")
	}
}
