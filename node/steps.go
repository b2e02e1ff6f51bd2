package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
	"github.com/shieldmaidens/pleiades/versioning"
)

// NewLogger returns the log that settings describe, on w.
func NewLogger(w io.Writer, s *Settings) *slog.Logger {
	opts := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// stopFunc undoes a step.
type stopFunc = func(context.Context) error

func (n *Node) startEngine(context.Context) (stopFunc, error) {
	s := &n.settings
	eng, err := engine.Open(s.Dir, &engine.Options{
		Logger: n.log.With("part", "engine"), AcceptDataLoss: s.AcceptDataLoss,
		BlockCacheBytes: s.CacheBytes, MemtableBytes: s.MemtableBytes, MaxWALBytes: s.WALBytes,
		MaxOpenFiles: s.MaxOpenFiles, BackgroundJobs: s.BackgroundJobs,
		DiskFullPercent: s.DiskFullPercent, DiskFullFreeBytes: s.DiskFullFreeBytes,
	})
	if err != nil {
		return nil, err
	}
	n.eng = eng
	n.sup.add(part{name: "engine", limit: s.StopTimeout, stop: func(context.Context) error { return eng.Close() }})
	n.sup.run("disk watch", func(ctx context.Context) error {
		return eng.Watch(ctx, &engine.WatchOptions{StallAfter: s.DiskStallWarn, FatalAfter: s.DiskStallExit})
	})
	return nil, nil
}

func (n *Node) startClock(context.Context) (stopFunc, error) {
	clock, err := versioning.NewClock(n.eng, &hlc.Options{
		Wall: n.settings.Wall, MaxOffset: n.settings.MaxClockOffset, MaxJump: n.settings.MaxClockJump,
	})
	if err != nil {
		return nil, fmt.Errorf("node: starting the clock: %w", err)
	}
	n.clock = clock
	return func(context.Context) error { return clock.Close() }, nil
}

func (n *Node) startCertificates(ctx context.Context) (stopFunc, error) {
	dir := n.settings.CertsDir
	made, err := ensureCertificates(dir, loopback(n.settings.Listen))
	if err != nil {
		return nil, err
	}
	n.first = made
	if n.certs, err = certs.Open(dir, certs.NodeLeaf, nil); err != nil {
		return nil, err
	}
	n.sup.add(part{name: "certificates", limit: n.settings.StopTimeout, stop: func(context.Context) error { return n.certs.Close() }})
	id := n.certs.Identity()
	if n.record, err = identify(ctx, n.eng, id.Constellation, id.Name); err != nil {
		return nil, err
	}
	n.sup.run("certificate watch", func(ctx context.Context) error {
		n.certs.Watch(ctx, n.settings.CertsReload, n.certificatesSeen)
		return ctx.Err()
	})
	return nil, nil
}

// certificatesSeen logs what a look at the directory of certificates brought.
func (n *Node) certificatesSeen(changed bool, err error) {
	switch {
	case err != nil:
		n.log.Error("certificates: going on with those of before", "error", err)
	case changed:
		id := n.certs.Identity()
		n.log.Info("certificates: new ones are in use", "serial", id.Serial, "until", id.NotAfter)
	}
}

func (n *Node) startEndpoint(context.Context) (stopFunc, error) {
	s := &n.settings
	e, err := endpoint.Open(&endpoint.Options{
		Listen: s.Listen, Certs: n.certs, Logger: n.log.With("part", "endpoint"),
		Limits:            &endpoint.Limits{MaxConnections: s.MaxConnections},
		StatelessResetKey: n.record.resetKey, TokenKey: n.record.tokenKey,
		Early: s.EarlyData, QLogDir: s.QLogDir,
	})
	if err != nil {
		return nil, listenError(err, "UDP", s.Listen, "listen")
	}
	n.endpoint = e
	return e.Close, nil
}

// listenError says which address and which setting is meant.
func listenError(err error, network, addr, setting string) error {
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: %s port %s of %s (--%s): %w", ErrPortTaken, network, port, addr, setting, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, endpoint.ErrAddress), isLookup(err):
		return fmt.Errorf("%w: %s (--%s): %w", ErrAddress, addr, setting, err)
	}
	return fmt.Errorf("node: listening on %s (--%s): %w", addr, setting, err)
}

func isLookup(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

func (n *Node) startServer(context.Context) (stopFunc, error) {
	s := &n.settings
	server, err := pwp.NewServer(&pwp.ServerOptions{
		Logger: n.log.With("part", "server"),
		Limits: &pwp.Limits{
			MaxMessageBytes: s.MaxMessageBytes, MaxRequestsPerConn: s.MaxRequests, MaxPairsPerConn: s.MaxPairs,
			MessageBytes: s.MessageMemoryBytes, MessageBytesPerConn: min(s.MessageMemoryBytes, max(24<<20, s.MaxMessageBytes)),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	n.server = server
	n.sup.add(part{name: "server", limit: s.StopTimeout, stop: func(context.Context) error { return server.Close() }})
	for _, svc := range []struct {
		number  wire.Service
		name    string
		service pwp.Service
		method  func(wire.MessageType) string
		known   func(wire.MessageType) bool
	}{
		{wire.ServiceKVStore, "kvstore", n.storeService(), kvwire.Name, kvwire.Known},
		{wire.ServiceSystem, "system", system.New(n.sources()), system.Name, system.Known},
	} {
		counted := instrument(svc.name, svc.service.Handler, svc.method, svc.known)
		n.services = append(n.services, counted)
		svc.service.Handler = counted
		if err := server.Handle(svc.number, svc.service); err != nil {
			return nil, err
		}
	}
	n.registry = n.newRegistry()
	n.sup.run("accept", n.accept)
	return nil, nil
}

// uptime is how long ago the node was started.
func (n *Node) uptime() time.Duration { return time.Since(n.began) }
