package nodetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvservice"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Options shape a node. nil is all defaults.
type Options struct {
	// Dir holds the store, in Dir/data, and the certificates, in Dir/certs. Empty: a directory of the test's.
	Dir string
	// Wall is the clock of the store. nil: the machine's.
	Wall hlc.WallClock
	// Store are the options of the store. nil: defaults.
	Store *kvstore.Options
}

// resetKey lets clients of a node that was cut notice it as soon as it is there again, as those of a real node do.
var resetKey = [32]byte{1}

// Node is a node in this process.
type Node struct {
	t    testing.TB
	opts Options
	addr string

	certs  *certs.Source
	eng    *engine.Engine
	clock  *hlc.Clock
	store  *kvstore.Store
	server *pwp.Server
	end    *endpoint.Endpoint
	accept sync.WaitGroup
	cancel context.CancelFunc
}

// Start starts a node, and stops it at the end of the test.
func Start(t testing.TB, opts *Options) *Node {
	t.Helper()
	n := &Node{t: t, addr: "127.0.0.1:0"}
	if opts != nil {
		n.opts = *opts
	}
	if n.opts.Dir == "" {
		n.opts.Dir = t.TempDir()
	}
	dir := n.CertsDir()
	_, err := certs.CreateCA(dir, nil)
	n.must(err)
	_, err = certs.CreateNode(dir, &certs.LeafOptions{Name: "n1"})
	n.must(err)
	_, err = certs.CreateClient(dir, nil)
	n.must(err)
	t.Cleanup(n.Stop)
	n.Start()
	return n
}

// Example starts a node for an example, which has no testing.TB. stop stops it and removes its files. It panics when the
// node cannot start.
func Example() (addr, certsDir string, stop func()) {
	dir, err := os.MkdirTemp("", "pleiades-example-*")
	if err != nil {
		panic(err)
	}
	t := &exampleT{}
	n := Start(t, &Options{Dir: dir})
	return n.Addr(), n.CertsDir(), func() {
		n.Stop()
		_ = os.RemoveAll(dir) // below the system's directory for temporary files
	}
}

// exampleT is a testing.TB for a function that has none: what would fail a test panics.
type exampleT struct{ testing.TB }

func (*exampleT) Helper()                   {}
func (*exampleT) Cleanup(func())            {}
func (*exampleT) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (*exampleT) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func (n *Node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// Addr returns where the node listens.
func (n *Node) Addr() string { return n.addr }

// CertsDir returns the directory with the certificates: of the node, and of the client "root".
func (n *Node) CertsDir() string { return filepath.Join(n.opts.Dir, "certs") }

// Dir returns the directory of the store.
func (n *Node) Dir() string { return filepath.Join(n.opts.Dir, "data") }

// Store returns the store, nil while the node is stopped.
func (n *Node) Store() *kvstore.Store { return n.store }

// Server returns the server, nil while the node is stopped.
func (n *Node) Server() *pwp.Server { return n.server }

// Certs returns the identity of a client of the node, open until the end of the test.
func (n *Node) Certs() *certs.Source {
	n.t.Helper()
	source, err := certs.Open(n.CertsDir(), certs.ClientLeaf(certs.DefaultClient), nil)
	n.must(err)
	n.t.Cleanup(func() { _ = source.Close() })
	return source
}

// Start starts a node that was stopped.
func (n *Node) Start() {
	n.t.Helper()
	var err error
	n.certs, err = certs.Open(n.CertsDir(), certs.NodeLeaf, nil)
	n.must(err)
	n.eng, err = engine.Open(n.Dir(), nil)
	n.must(err)
	n.clock, err = versioning.NewClock(n.eng, &hlc.Options{Wall: n.opts.Wall})
	n.must(err)
	n.store, err = kvstore.Open(n.eng, n.clock, n.opts.Store)
	n.must(err)
	n.server, err = pwp.NewServer(nil)
	n.must(err)
	n.must(n.server.Handle(wire.ServiceKVStore, kvservice.New(n.store, nil)))
	n.must(n.server.Handle(wire.ServiceSystem, system.New(&system.Sources{
		Node: func(context.Context) (*systemv1.NodeResponse, error) {
			return &systemv1.NodeResponse{NodeId: "n1"}, nil
		},
		Contexts: func() (answers, asks []pwp.Context) { return n.server.Contexts(), nil },
	})))
	n.end, err = endpoint.Open(&endpoint.Options{Listen: n.addr, Certs: n.certs, Early: true, StatelessResetKey: resetKey})
	n.must(err)
	n.addr = n.end.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	server, end := n.server, n.end
	n.accept.Go(func() {
		for {
			conn, err := end.Accept(ctx)
			if err != nil {
				return
			}
			n.accept.Go(func() { _ = server.ServeConn(ctx, conn) })
		}
	})
}

// Stop stops the node in good order: what is under way is answered. Stopping a stopped node does nothing.
func (n *Node) Stop() {
	n.t.Helper()
	if n.eng == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = n.server.Shutdown(ctx) // a client that does not hang up is cut
	n.closeAll()
}

// Cut stops the node without a word to its clients: requests under way lose their answers.
func (n *Node) Cut() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.end.Close(ctx)
	n.closeAll()
}

func (n *Node) closeAll() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n.cancel()
	err := errors.Join(n.server.Close(), n.end.Close(ctx))
	n.accept.Wait()
	err = errors.Join(err, n.store.Close(), n.clock.Close(), n.eng.Close(), n.certs.Close())
	n.eng, n.store, n.server = nil, nil, nil
	if err != nil {
		n.t.Errorf("stopping the node: %v", err)
	}
}
