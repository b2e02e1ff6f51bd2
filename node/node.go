package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// State is what a node is doing.
type State int32

// The states of a node, in their order.
const (
	StateStarting State = 1
	StateReady    State = 2
	StateDraining State = 3
	StateStopped  State = 4
)

func (s State) String() string {
	switch s {
	case StateStarting:
		return "starting"
	case StateReady:
		return "ready"
	case StateDraining:
		return "draining"
	}
	return "stopped"
}

// Node is a running node. All methods may be called concurrently.
type Node struct {
	settings Settings
	log      *slog.Logger
	sup      *supervisor
	began    time.Time
	state    atomic.Int32
	first    bool // the first start made the certificates

	eng      *engine.Engine
	clock    *hlc.Clock
	store    *kvstore.Store
	certs    *certs.Source
	record   *record
	endpoint *endpoint.Endpoint
	server   *pwp.Server
	live     live
	services []*instrumented
	admin    net.Addr // nil: none
	registry *prometheus.Registry

	stop struct {
		once sync.Once
		err  error
	}
}

// Start starts a node; every step is logged with its time. ctx is for the start alone. When a step fails, those before it
// are undone. Stop the node in the end.
//
// Errors: ErrSettings, ErrNeedsCertificates, ErrPortTaken, ErrAddress, ErrWrongNode, those of opening the engine
// (engine.ErrInUse, …), the clock (hlc.ErrClockBehind) and the certificates.
func Start(ctx context.Context, settings *Settings) (*Node, error) {
	n := &Node{settings: *settings, began: time.Now()}
	if err := n.settings.check(); err != nil {
		return nil, err
	}
	var err error
	if n.settings.Dir, err = filepath.Abs(n.settings.Dir); err != nil {
		return nil, fmt.Errorf("%w: dir: %w", ErrSettings, err)
	}
	if n.settings.CertsDir, err = filepath.Abs(n.settings.certsDir()); err != nil {
		return nil, fmt.Errorf("%w: certs-dir: %w", ErrSettings, err)
	}
	if n.log = settings.Logger; n.log == nil {
		n.log = NewLogger(os.Stderr, &n.settings)
	}
	n.sup = newSupervisor(n.log, n.settings.StopTimeout)
	n.state.Store(int32(StateStarting))
	n.log.Info("starting", "dir", n.settings.Dir, "pid", os.Getpid(), "version", n.settings.Version)
	for _, step := range []struct {
		name string
		fn   func(context.Context) (func(context.Context) error, error)
	}{
		{"engine", n.startEngine},
		{"clock", n.startClock},
		{"kvstore", n.startStore},
		{"certificates", n.startCertificates},
		{"endpoint", n.startEndpoint},
		{"server", n.startServer},
		{"admin", n.startAdmin},
		{"ready", n.startReady},
	} {
		if err := n.sup.start(ctx, step.name, step.fn); err != nil {
			n.state.Store(int32(StateStopped))
			return nil, errors.Join(err, n.sup.stop(context.WithoutCancel(ctx)))
		}
	}
	n.log.Info("ready", "took", time.Since(n.began).Round(time.Millisecond), "node", n.record.node,
		"constellation", n.record.constellation, "listen", n.Addr(), "admin", n.AdminAddr())
	return n, nil
}

// startReady tells others that the node is there. Undoing it is the drain: requests that were taken are finished, others
// are refused, and the pairs end.
func (n *Node) startReady(context.Context) (func(context.Context) error, error) {
	file := &File{
		PID: os.Getpid(), NodeID: n.record.node, Constellation: n.record.constellation, Listen: n.Addr(),
		Advertise: n.Advertise(), Admin: n.AdminAddr(), CertsDir: n.settings.CertsDir, Started: n.began,
	}
	if err := file.write(n.settings.Dir); err != nil {
		return nil, err
	}
	n.state.Store(int32(StateReady))
	n.notify("READY=1\nMAINPID=" + strconv.Itoa(os.Getpid()) + "\nSTATUS=ready on " + n.Addr())
	// The drain has a limit of its own, so it is no ordinary part.
	n.sup.add(part{name: "drain", limit: n.settings.DrainTimeout + time.Second, stop: n.drain})
	return nil, nil
}

func (n *Node) drain(ctx context.Context) error {
	n.state.Store(int32(StateDraining))
	n.notify("STOPPING=1\nSTATUS=draining")
	ctx, cancel := context.WithTimeout(ctx, n.settings.DrainTimeout)
	defer cancel()
	fault := removeFile(n.settings.Dir)
	if err := n.server.Shutdown(ctx); err != nil {
		inFlight := 0
		for _, c := range n.server.Contexts() {
			inFlight += c.InFlight
		}
		// Not an error of the node: whoever sent these requests learns that their outcome is unknown, and may ask again.
		n.log.Warn("drain: the time is over, what is left is cut", "limit", n.settings.DrainTimeout, "requests", inFlight)
	}
	select {
	case <-ctx.Done():
	case <-time.After(n.live.linger()):
	}
	return fault
}

func (n *Node) notify(state string) {
	if err := notify(os.Getenv("NOTIFY_SOCKET"), state); err != nil {
		n.log.Warn("notify", "error", err)
	}
}

// Failed is closed when a part of the node fails by itself; Err says why. The owner stops the node then.
func (n *Node) Failed() <-chan struct{} { return n.sup.failed }

// Err returns why a part of the node failed, nil while all work.
func (n *Node) Err() error { return n.sup.err() }

// Stop drains the node and stops it, each step within its time and all of them within ctx. Later calls wait for the first
// and return what it did. Errors: ErrStopTimeout, and what stopping the parts meets; what was acknowledged is safe in any
// case.
func (n *Node) Stop(ctx context.Context) error {
	n.stop.once.Do(func() {
		from := time.Now()
		n.log.Info("stopping")
		n.stop.err = n.sup.stop(ctx)
		n.state.Store(int32(StateStopped))
		n.log.Info("stopped", "step", "node", "took", time.Since(from).Round(time.Millisecond))
	})
	return n.stop.err
}

// Run starts a node, calls ready with it, and stops it when ctx ends or one of its parts fails, whose error it returns. A
// disk that hangs (engine.ErrStalled) is returned at once, with nothing stopped: the process should exit, since the
// write cannot be taken back and closing would wait for it.
func Run(ctx context.Context, settings *Settings, ready func(*Node)) error {
	n, err := Start(ctx, settings)
	if err != nil {
		return err
	}
	if ready != nil {
		ready(n)
	}
	select {
	case <-ctx.Done():
	case <-n.Failed():
		if err := n.Err(); errors.Is(err, engine.ErrStalled) {
			return err
		}
	}
	return errors.Join(n.Err(), n.Stop(context.WithoutCancel(ctx)))
}

// State returns what the node is doing.
func (n *Node) State() State { return State(n.state.Load()) }

// Addr returns the address that it listens on, with the port that the system chose for port 0.
func (n *Node) Addr() string { return n.endpoint.Addr().String() }

// Advertise returns the address that others are told.
func (n *Node) Advertise() string {
	if n.settings.Advertise != "" {
		return n.settings.Advertise
	}
	return n.Addr()
}

// AdminAddr returns the address of the admin page, empty when there is none.
func (n *Node) AdminAddr() string {
	if n.admin == nil {
		return ""
	}
	return n.admin.String()
}

// Identity returns who the node is, with the validity of its certificate.
func (n *Node) Identity() certs.Identity { return n.certs.Identity() }

// CertsDir returns the directory of the certificates, an absolute path.
func (n *Node) CertsDir() string { return n.settings.CertsDir }

// Dir returns the node's directory, an absolute path.
func (n *Node) Dir() string { return n.settings.Dir }

// First reports whether this start made the certificates.
func (n *Node) First() bool { return n.first }

// SelfMade reports whether the node's certificates are those of a first start.
func (n *Node) SelfMade() bool {
	self, err := holds(n.settings.CertsDir, selfMade)
	return err == nil && self
}
