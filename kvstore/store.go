package kvstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// The shards of a store; part of the format.
const (
	// CatalogShard holds accounts and buckets.
	CatalogShard engine.ShardID = 1
	// DataShard holds the keys of all buckets.
	DataShard = engine.FirstUserShard
)

// Store is the key-value store of one node: accounts, buckets, keys and sessions. All methods are safe for concurrent
// use. It owns neither the engine nor the clock.
type Store struct {
	eng   *engine.Engine
	clock *hlc.Clock
	opts  Options
	log   *slog.Logger

	versions   *versioning.Store
	catalog    *catalogBody
	data       *dataBody
	catalogLog *sequencer
	dataLog    *sequencer
	claim      engine.Claim
	removals   *removals
	closed     atomic.Bool
}

// Open opens the store that is in an engine, or makes one. opts may be nil and is copied. The clock's timestamps must be
// above all that were ever used in the engine, which versioning.NewClock provides for. The default account and bucket are
// made when they are missing; removals that a crash cut short go on; counters are counted anew, by reading all data, when
// somebody wrote without counting since. Close the store before the clock and the engine.
//
// Errors: ErrInvalidOptions, ErrRecord, ErrRecordFormat, engine.ErrClaimed when another store of the process is open on
// the engine, and the engine's.
func Open(eng *engine.Engine, clock *hlc.Clock, opts *Options) (_ *Store, err error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if eng == nil || clock == nil {
		return nil, fmt.Errorf("%w: a store needs an engine and a clock", ErrInvalidOptions)
	}
	ctx := context.Background()
	catalogShard, err := eng.EnsureShard(ctx, CatalogShard)
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	dataShard, err := eng.EnsureShard(ctx, DataShard)
	if err != nil {
		return nil, fmt.Errorf("open the data shard: %w", err)
	}
	s := &Store{eng: eng, clock: clock, opts: o, log: o.Logger}
	s.claim.Holder = "another open kvstore.Store"
	if _, err := catalogShard.Claim(&s.claim); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.shutdown()
		}
	}()
	if s.versions, err = versioning.Open(dataShard, clock, &versioning.Options{Counted: true}); err != nil {
		return nil, err
	}
	s.catalog, s.data = newCatalogBody(catalogShard, &s.opts), newDataBody(s.versions)
	catalogMachine := &Machine{shard: catalogShard, limits: o, body: s.catalog}
	dataMachine := &Machine{shard: dataShard, limits: o, body: s.data}
	s.catalogLog = newSequencer(eng, clock, catalogMachine, &s.opts)
	s.dataLog = newSequencer(eng, clock, dataMachine, &s.opts)
	s.removals = newRemovals(s)
	for _, m := range []*Machine{catalogMachine, dataMachine} {
		if err := m.load(); err != nil {
			return nil, err
		}
		if ts := m.Time(); !ts.IsZero() {
			if _, err := clock.Update(ts); err != nil {
				return nil, fmt.Errorf("the clock is behind what the store holds: %w", err)
			}
		}
	}
	if err := s.reconcile(ctx); err != nil {
		return nil, err
	}
	if err := s.recount(ctx, dataMachine); err != nil {
		return nil, err
	}
	s.resume()
	return s, nil
}

// Close refuses new calls, waits for writes under way, stops removals between two steps (the next Open goes on with
// them), and lets another store use the shards. Scans and reads under way finish. Closing again does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.shutdown()
	return nil
}

func (s *Store) shutdown() {
	s.closed.Store(true)
	if s.removals != nil {
		s.removals.close()
	}
	for _, l := range []*sequencer{s.dataLog, s.catalogLog} {
		if l != nil {
			l.close()
		}
	}
	if s.versions != nil {
		s.versions.Close()
	}
	if shard, err := s.eng.Shard(CatalogShard); err == nil {
		shard.Unclaim(&s.claim)
	}
}

// Check is one thing that has to be right for the store to serve.
type Check struct {
	// Name is what is checked: "engine", "catalog", "data".
	Name string
	// Err is what is wrong; nil: nothing.
	Err error
}

// Health returns what is checked of the store. It costs two point reads.
func (s *Store) Health(ctx context.Context) []Check {
	checks := []Check{{Name: "engine", Err: s.eng.Err()}}
	if s.closed.Load() {
		checks[0].Err = errors.Join(ErrClosed, checks[0].Err)
	}
	read := func(name string, shard *engine.Shard) {
		err := ctx.Err()
		if err == nil {
			_, err = shard.Has(metaKey(metaMachine), nil)
		}
		checks = append(checks, Check{Name: name, Err: err})
	}
	read("catalog", s.catalog.shard)
	read("data", s.data.shard)
	return checks
}

// Ready returns nil if the store serves, and else what is wrong.
func (s *Store) Ready(ctx context.Context) error {
	var faults []error
	for _, c := range s.Health(ctx) {
		if c.Err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", c.Name, c.Err))
		}
	}
	return errors.Join(faults...)
}

// Versions returns the versioned store under the data shard, for reading and for metrics. Its writes are not counted:
// whoever writes through it makes counters and quotas wrong.
func (s *Store) Versions() *versioning.Store { return s.versions }

func (s *Store) checkOpen(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// propose hands a command to a log and returns its result, or why there is none: also a refusal.
func (s *Store) propose(ctx context.Context, log Log, cmd *kvstorev1.Command) (Result, error) {
	r, err := log.Propose(ctx, cmd)
	if err == nil {
		err = r.Err
	}
	return r, err
}

// local proposes for the store itself.
func (s *Store) local(ctx context.Context, log Log, cmd *kvstorev1.Command) (Result, error) {
	cmd.Format = recordFormat
	return s.propose(ctx, log, cmd)
}
