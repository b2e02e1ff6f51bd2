package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
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

// session is the open store of one command.
type session struct {
	eng    *engine.Engine
	clock  *hlc.Clock
	shard  *engine.Shard
	store  *versioning.Store
	bucket *versioning.Bucket
}

// withEngine opens the directory, calls fn and closes. Errors of closing count: a handle that was left
// open is our own bug and must not stay hidden.
func (a *App) withEngine(mode access, fn func(*engine.Engine) error) (err error) {
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
		return nil, exit.New(exit.Usage, "say where the store is: --dir DIR, or export PLEIADES_DIR=DIR", "%w: no directory given", base.ErrInvalid)
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
	return eng, openError(err)
}

// openError adds the way out of what opening can meet.
func openError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrInUse):
		return &exit.Error{Code: exit.Unavailable, Err: err, Fix: "wait until the other process is done, or stop it; a store is open in one process at a time"}
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

// withStore opens the directory, the shard and its versions.
func (a *App) withStore(ctx context.Context, mode access, fn func(*session) error) error {
	return a.withEngine(mode, func(eng *engine.Engine) (err error) {
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
		if s.bucket, err = s.store.Bucket(a.bucketID()); err != nil {
			return err
		}
		return fn(s)
	})
}

func (a *App) clockOptions() *hlc.Options { return &hlc.Options{Wall: a.Wall} }
