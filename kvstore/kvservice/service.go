package kvservice

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Options are what a service is made of. nil is all defaults.
type Options struct {
	// Caller says who is at the other end of a connection. nil takes the identity of its certificate, and refuses
	// connections that have none.
	Caller func(pwp.Conn) (kvstore.Caller, error)
	// Ready says why the store cannot be used now; clients are told to try again. It must not block. nil is always ready.
	Ready func() error
}

// ErrNoIdentity says that a connection has no certificate.
var ErrNoIdentity = base.New(base.ErrPermission, "kvservice: the connection has no certificate")

// New returns the service for pwp.Server.Handle(wire.ServiceKVStore, …). store and what opts point to must outlive the
// server.
func New(store Store, opts *Options) pwp.Service {
	s := &service{store: store, batches: newBatches(), crowd: semaphore.NewWeighted(crowdReads), caller: callerOf, ready: func() error { return nil }}
	if opts != nil && opts.Caller != nil {
		s.caller = opts.Caller
	}
	if opts != nil && opts.Ready != nil {
		s.ready = opts.Ready
	}
	return pwp.Service{Handler: s, Early: kvwire.ReadOnly, Admit: s.admit, Status: s.status}
}

type service struct {
	store  Store
	caller func(pwp.Conn) (kvstore.Caller, error)
	ready  func() error
	// batches are those that run.
	batches batches
	// crowd are the reads for connections whose answers wait for their reader.
	crowd *semaphore.Weighted
}

// crowdReads is how many reads run at a time for connections that do not read what they asked for.
const crowdReads = 2

var _ pwp.Handler = (*service)(nil)

// callerOf takes the caller from the connection's certificate.
func callerOf(conn pwp.Conn) (kvstore.Caller, error) {
	c, ok := conn.(interface{ Identity() certs.Identity })
	if !ok {
		return kvstore.Caller{}, ErrNoIdentity
	}
	id := c.Identity()
	if id.Name == "" {
		return kvstore.Caller{}, ErrNoIdentity
	}
	return callerFrom(id), nil
}

func (s *service) admit(conn pwp.Conn) (wire.ServiceCode, *wire.Error) {
	if _, err := s.caller(conn); err != nil {
		return wire.ServiceNeverError, kvwire.ToWire(err)
	}
	if err := s.ready(); err != nil {
		return wire.ServiceRetryError, &wire.Error{Code: wire.CodeUnavailable, Text: err.Error()}
	}
	return wire.ServiceReady, nil
}

func (s *service) status() wire.Status {
	if s.ready() != nil {
		return wire.StatusUnhealthy
	}
	return wire.StatusHealthy
}

// ServePWP implements pwp.Handler.
func (s *service) ServePWP(r *pwp.Request) error {
	err := s.serve(r)
	if err == nil {
		return nil
	}
	if e := kvwire.ToWire(err); e.Code != wire.CodeInternal {
		return e
	}
	return fmt.Errorf("%s: %w", kvwire.Name(r.Type()), err) // logged, and sent without its text
}

func (s *service) serve(r *pwp.Request) error {
	switch r.Type() {
	case kvwire.Get:
		return s.get(r)
	case kvwire.Describe:
		return s.describe(r)
	case kvwire.History:
		return s.history(r)
	case kvwire.Scan:
		return s.scan(r)
	}
	caller, err := s.caller(r.Conn())
	if err != nil {
		return err
	}
	switch r.Type() {
	case kvwire.Put, kvwire.Delete, kvwire.Purge, kvwire.SetVacuumable, kvwire.Batch:
		return s.write(r, caller)
	case kvwire.CreateAccount, kvwire.GetAccount, kvwire.UpdateAccount, kvwire.ListAccounts, kvwire.DeleteAccount:
		return s.accounts(r, caller)
	case kvwire.CreateBucket, kvwire.GetBucket, kvwire.UpdateBucket, kvwire.ListBuckets, kvwire.DeleteBucket:
		return s.buckets(r, caller)
	case kvwire.OpenSession, kvwire.CloseSession:
		return s.sessions(r, caller)
	case kvwire.Vacuum:
		return s.vacuum(r, caller)
	}
	return fmt.Errorf("%w: the key-value service has no request of %v; this server may be older than its client", kverr.ErrBadRequest, r.Type())
}

// contextOf returns the context of a request that is answered at once: one that nobody put a time to needs none of its own.
func contextOf(r *pwp.Request) context.Context {
	if _, limited := r.Deadline(); limited {
		return r.Context()
	}
	return context.Background()
}
