package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/versioning"
)

// access says what a command is going to do with the store.
type access uint8

const (
	// read: neither the store nor the shard is created.
	read access = 1
	// write: both are created when they are missing.
	write access = 2
)

// bucket is what commands on keys need: *versioning.Bucket in a directory, *remoteBucket at a node.
type bucket interface {
	ID() keys.BucketID
	Get(ctx context.Context, key []byte) (versioning.Value, error)
	GetVersion(ctx context.Context, key []byte, version int) (versioning.Value, error)
	GetAt(ctx context.Context, key []byte, ts hlc.Timestamp) (versioning.Value, error)
	Describe(ctx context.Context, key []byte) (versioning.Descriptor, error)
	History(ctx context.Context, key []byte, opts *versioning.HistoryOptions) iter.Seq2[versioning.Value, error]
	Scan(ctx context.Context, opts *versioning.ScanOptions) iter.Seq2[versioning.Entry, error]
	Put(ctx context.Context, key, value []byte, opts *versioning.PutOptions) (versioning.WriteResult, error)
	Delete(ctx context.Context, key []byte, opts *versioning.WriteOptions) (versioning.WriteResult, error)
	Purge(ctx context.Context, key []byte, opts *versioning.WriteOptions) (versioning.WriteResult, error)
	SetVacuumable(ctx context.Context, key []byte, vacuumable bool, opts *versioning.WriteOptions) (versioning.WriteResult, error)
	Settings(ctx context.Context) (versioning.Settings, error)
	SetSettings(ctx context.Context, settings versioning.Settings) error
}

var _ bucket = (*versioning.Bucket)(nil)

// session is the open store of one command: a directory, or a node.
type session struct {
	bucket bucket

	// Of a directory; nil at a node.
	eng      *engine.Engine
	clock    *hlc.Clock
	shard    *engine.Shard
	store    *versioning.Store
	versions *versioning.Bucket

	// Of a node; nil in a directory.
	client *client.Client
	remote *remoteBucket
}

// atNode reports whether the session is with a node.
func (s *session) atNode() bool { return s.client != nil }

// token says where a scan goes on behind e.
func (s *session) token(e versioning.Entry, opt *versioning.ScanOptions) versioning.Token {
	if s.atNode() {
		return kvwire.AppendToken(nil, s.bucket.ID(), opt.Reverse, opt.At, e.Key)
	}
	return e.Token()
}

// removals collects keys that go together.
type removals interface {
	Delete(key []byte) error
	Purge(key []byte) error
	Len() int
	Commit(ctx context.Context) error
}

func (s *session) newRemovals() removals {
	if s.atNode() {
		return &remoteRemovals{batch: s.client.NewBatch(), in: s.remote.b}
	}
	return &localRemovals{batch: s.store.NewBatch(), in: s.versions}
}

type localRemovals struct {
	batch *versioning.Batch
	in    *versioning.Bucket
}

func (r *localRemovals) Delete(key []byte) error { return r.batch.Delete(r.in, key, nil) }
func (r *localRemovals) Purge(key []byte) error  { return r.batch.Purge(r.in, key, nil) }
func (r *localRemovals) Len() int                { return r.batch.Len() }

func (r *localRemovals) Commit(ctx context.Context) error {
	_, err := r.batch.Commit(ctx, nil)
	return err
}

// withEngine opens the directory, calls fn and closes. Errors of closing count: a handle that was left
// open is our own bug and must not stay hidden.
//
// It is for commands that work on a directory only.
func (a *App) withEngine(mode access, fn func(*engine.Engine) error) error {
	if node, err := a.node(); err != nil {
		return err
	} else if node {
		return a.directoryOnly()
	}
	return a.inEngine(mode, fn)
}

// directoryOnly is the error of a command that a node does not do.
func (a *App) directoryOnly() error {
	return exit.New(exit.Usage, "stop the node and give its directory: --dir DIR",
		"%w: this works on a directory, and the address of a node is given (%s)", base.ErrInvalid, a.cfg.Get("addr").Origin)
}

func (a *App) inEngine(mode access, fn func(*engine.Engine) error) (err error) {
	eng, err := a.openEngine(mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	return fn(eng)
}

func (a *App) openEngine(mode access) (*engine.Engine, error) {
	dir := a.text("dir")
	if dir == "" {
		return nil, exit.New(exit.Usage, "say where the store is: --dir DIR, or --addr HOST:PORT of a node; pleiades node start makes one",
			"%w: neither a directory nor a node is given", base.ErrInvalid)
	}
	if mode == read {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, exit.New(exit.NotFound, "check --dir; the first write makes the store: pleiades --dir DIR kv put KEY VALUE",
				"%w: there is no store in %s", engine.ErrNoStore, dir)
		}
	}
	eng, err := engine.Open(dir, &engine.Options{
		Logger:         a.logger(),
		ErrorIfMissing: mode == read,
		AcceptDataLoss: a.flag("accept-data-loss"),
	})
	if errors.Is(err, engine.ErrInUse) {
		return nil, &exit.Error{Code: exit.Unavailable, Err: err, Fix: runningFix(dir)}
	}
	return eng, openError(err)
}

// openError adds the way out of what opening can meet.
func openError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrNoStore):
		return exit.WithFix(err, "check --dir; the first write makes the store: pleiades --dir DIR kv put KEY VALUE")
	case errors.Is(err, engine.ErrNotAStore):
		return exit.WithFix(err, "choose an empty or new directory, or the one that a store was made in")
	case errors.Is(err, engine.ErrCorruption) && !errors.Is(err, engine.ErrDataLoss):
		return exit.WithFix(err, "keep a copy of the directory, and restore a dump or a backup into a new one")
	case errors.Is(err, engine.ErrDataLoss):
		return exit.WithFix(err, "restore a backup, or keep a copy and open what is left with --accept-data-loss")
	}
	return err
}

// clockError adds the way out of a clock that cannot be started.
func clockError(err error) error {
	err = fmt.Errorf("starting the clock: %w", err)
	if errors.Is(err, hlc.ErrClockBehind) {
		return &exit.Error{Code: exit.Unavailable, Err: err, Fix: "set this machine's clock right, or wait until it has caught up with the store"}
	}
	return err
}

// node reports whether the command is for a node rather than for a directory: whichever was said with more force, by a
// flag over the environment over the files.
func (a *App) node() (bool, error) {
	dir, addr := a.cfg.Get("dir"), a.cfg.Get("addr")
	switch {
	case addr.Text == "":
		return false, nil
	case dir.Text == "" || addr.Rank < dir.Rank:
		return true, nil
	case addr.Rank > dir.Rank:
		return false, nil
	}
	return false, exit.New(exit.Usage, "give one of them", "%w: both a directory (%s) and the address of a node (%s)", base.ErrInvalid, dir.Origin, addr.Origin)
}

// withStore opens what the settings name: a directory with its shard and versions, or a node.
func (a *App) withStore(ctx context.Context, mode access, fn func(*session) error) error {
	node, err := a.node()
	if err != nil {
		return err
	}
	if node {
		return a.withNode(ctx, fn)
	}
	return a.withDirectory(ctx, mode, fn)
}

// withDirectory opens the directory, the shard and its versions.
func (a *App) withDirectory(ctx context.Context, mode access, fn func(*session) error) error {
	if a.number("bucket") == 0 {
		return exit.New(exit.Usage, "give its number, or the address of the node that knows the name: --addr HOST:PORT",
			"%w: bucket %q: a directory knows buckets by their numbers", base.ErrInvalid, a.text("bucket"))
	}
	return a.inEngine(mode, func(eng *engine.Engine) (err error) {
		s := &session{eng: eng}
		if mode == write {
			s.shard, err = eng.EnsureShard(ctx, a.shardID())
		} else {
			s.shard, err = eng.Shard(a.shardID())
		}
		if err != nil {
			return err
		}
		if s.clock, err = versioning.NewClock(eng, a.clockOptions()); err != nil {
			return clockError(err)
		}
		defer func() { err = errors.Join(err, s.clock.Close()) }()
		if s.store, err = versioning.Open(s.shard, s.clock, nil); err != nil {
			return err
		}
		defer s.store.Close()
		if s.versions, err = s.store.Bucket(a.bucketID()); err != nil {
			return err
		}
		s.bucket = s.versions
		return fn(s)
	})
}

func (a *App) clockOptions() *hlc.Options { return &hlc.Options{Wall: a.Wall} }
