package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/linxGnu/grocksdb"
)

// Open opens the store in dir, or makes one when dir is missing or empty. It holds the directory
// exclusively until Close.
//
// Errors: ErrInUse, ErrNotAStore, ErrNoStore, ErrNewerFormat, ErrCorruption, ErrDataLoss,
// ErrPermission, ErrDiskFull, ErrInvalid (options), each naming what is wrong and the way out. A
// failed Open changes nothing but what RocksDB's own recovery does; when that recovery lacks synced
// writes, the logs as they were found are kept beside it.
func Open(dir string, opts *Options) (_ *Engine, err error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: the name of the directory is empty", ErrInvalid)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fsError("resolve "+dir, err)
	}
	if err := prepareDir(dir, &o); err != nil {
		return nil, err
	}
	e := &Engine{dir: dir, opts: o, log: o.Logger, destroyed: make(chan struct{})}
	e.life.init()
	e.handles.init()
	e.shards.live = map[ShardID]*Shard{}
	e.shards.all = map[string]*Shard{}
	defer func() {
		if err != nil {
			e.destroy()
		}
	}()
	if e.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	// Only now is what the directory holds ours to judge: another process may just have finished it.
	state, err := inspectDir(dir)
	if err != nil {
		return nil, err
	}
	if state == dirEmpty {
		if o.ErrorIfMissing {
			return nil, fmt.Errorf("%w: %s", ErrNoStore, dir)
		}
		if err := beginCreation(dir); err != nil {
			return nil, err
		}
		// The directory may have been made by hand a moment ago. Who may not read its parent can't sync it.
		if err := syncDir(filepath.Dir(dir)); err != nil && !errors.Is(err, ErrPermission) {
			return nil, err
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, stagingDirName)); err != nil {
		return nil, fsError("clear "+stagingDirName, err)
	}
	if err := e.openRocksDB(state == dirStore); err != nil {
		return nil, err
	}
	if state == dirEmpty {
		if err := finishCreation(dir); err != nil {
			return nil, err
		}
	}
	e.commits = newCommitter(e)
	go e.commits.run()
	return e, nil
}

// prepareDir checks what can be checked before the lock, and makes a missing directory.
func prepareDir(dir string, o *Options) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if o.ErrorIfMissing {
			return fmt.Errorf("%w: %s does not exist", ErrNoStore, dir)
		}
		return makeDir(dir, 0o700) // its owner's alone: the files in it hold every value
	case err != nil:
		return fsError("stat "+dir, err)
	case !st.IsDir():
		return fmt.Errorf("%w: %s is a file", ErrNotAStore, dir)
	}
	state, err := inspectDir(dir)
	if err == nil && state == dirEmpty && o.ErrorIfMissing {
		return fmt.Errorf("%w: %s is empty", ErrNoStore, dir)
	}
	return err
}

// makeDir makes dir and missing directories above it, durably: a synced file in a directory whose own
// name is lost is lost as well.
func makeDir(dir string, mode os.FileMode) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) && parent != dir {
		if err := makeDir(parent, 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return fsError("create "+dir, err)
	}
	return syncDir(parent)
}

// openRocksDB opens the database with every family that exists, checks it against the synced mark,
// reads the shard table and drops leftovers.
func (e *Engine) openRocksDB(exists bool) error {
	dbOpts := e.buildOptions()
	names := []string{"default"}
	if exists {
		var err error
		if names, err = grocksdb.ListColumnFamilies(dbOpts, e.dir); err != nil {
			return classifyText("read the list of families of "+e.dir, err)
		}
	}
	mark, known, err := openSyncMark(e.dir)
	if err != nil {
		return err
	}
	e.mark = mark
	e.disk = newDiskGuard(e.dir, &e.opts)
	if exists && !known {
		e.log.Warn("engine: the synced mark is missing or unreadable; a loss of synced writes could not be noticed", "dir", e.dir)
	}
	if err := saveWAL(e.dir); err != nil {
		e.log.Warn("engine: the write-ahead logs could not be linked aside before recovery", "err", err)
	}
	cfOpts := make([]*grocksdb.Options, len(names))
	for i := range cfOpts {
		cfOpts[i] = e.cfOpts
	}
	open := func() (*grocksdb.DB, grocksdb.ColumnFamilyHandles, error) {
		return grocksdb.OpenDbColumnFamilies(dbOpts, e.dir, names, cfOpts)
	}
	db, handles, err := open()
	if err != nil {
		if err = classifyText("open "+e.dir, err); !errors.Is(err, ErrDiskFull) {
			return err
		}
		e.disk.giveReserve()
		if db, handles, err = open(); err != nil && errors.Is(classifyText("", err), ErrDiskFull) {
			// What the logs hold does not fit into tables beside them. Kept in memory it can at least be
			// read, and writes that free space are possible.
			e.log.Warn("engine: the disk is too full for a recovery that frees the logs; they stay", "dir", e.dir)
			keepLogsAtRecovery(dbOpts)
			db, handles, err = open()
		}
		if err != nil {
			return classifyText("open "+e.dir, err)
		}
	}
	e.env.opened()
	e.db, e.dbp = db, rawDB(db)
	shards := make([]*Shard, len(names))
	for i, h := range handles {
		id, inc := parseFamilyName(names[i])
		shards[i] = e.newShard(id, inc, names[i], h)
		if names[i] == "default" {
			e.local = shards[i]
			e.local.state.Store(int32(shardLive))
		} else {
			shards[i].state.Store(int32(shardStaged))
			e.shards.all[names[i]] = shards[i]
		}
	}
	if err := e.judgeRecovery(); err != nil {
		return err
	}
	if err := e.loadShardTable(); err != nil {
		return err
	}
	e.dropLeftovers(shards)
	e.disk.look()
	return nil
}

// loadShardTable makes the incarnations live that the shard table names.
func (e *Engine) loadShardTable() error {
	it, err := e.local.NewIterator(&IterOptions{Lower: []byte{shardRecordPrefix}, Upper: []byte{shardRecordPrefix + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		id, inc, err := parseShardRecord(it.Key(), it.Value())
		if err != nil {
			return err
		}
		s := e.shards.all[familyName(id, inc)]
		if s == nil {
			return fmt.Errorf("%w: shard %d is live as family %q, which does not exist", ErrCorruption, id, familyName(id, inc))
		}
		s.state.Store(int32(shardLive))
		e.shards.live[id] = s
	}
	return it.Err()
}

// dropLeftovers drops families without a live record: what a crash left of staged, cloned, replaced
// or dropped shards. A family whose name is not ours is left alone and reported.
func (e *Engine) dropLeftovers(shards []*Shard) {
	for _, s := range shards {
		if s == e.local || shardState(s.state.Load()) != shardStaged {
			continue
		}
		s.state.Store(int32(shardRetired))
		s.users.shut()
		if s.id == 0 {
			e.log.Warn("engine: a family that is not a shard's is left alone", "family", s.name)
		} else if err := e.db.DropColumnFamily(s.cf); err != nil {
			e.log.Error("engine: dropping a leftover family failed", "family", s.name, "err", err)
		} else {
			e.log.Info("engine: dropped a leftover family", "family", s.name)
		}
		e.release(s)
	}
}

// parseFamilyName returns zeros for a name that is not a shard's.
func parseFamilyName(name string) (ShardID, Incarnation) {
	idText, incText, dotted := strings.Cut(name, ".")
	id, err := strconv.ParseUint(idText, 10, 64)
	if err != nil {
		return 0, 0
	}
	inc := uint64(1)
	if dotted {
		if inc, err = strconv.ParseUint(incText, 10, 64); err != nil {
			return 0, 0
		}
	}
	if familyName(ShardID(id), Incarnation(inc)) != name {
		return 0, 0
	}
	return ShardID(id), Incarnation(inc)
}

// classifyText maps an error of the C API, which is a status as text, onto the engine's sentinels.
func classifyText(op string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "No space left on device"):
		return fmt.Errorf("%w: %s: %s", ErrDiskFull, op, text)
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "Read-only file system"):
		return fmt.Errorf("%w: %s: %s", ErrPermission, op, text)
	case strings.HasPrefix(text, "Corruption"):
		return fmt.Errorf("%w: %s: %s", ErrCorruption, op, text)
	case strings.HasPrefix(text, "Invalid argument"):
		return fmt.Errorf("%w: %s: %s", ErrInvalid, op, text)
	default:
		return fmt.Errorf("%w: %s: %s", errRocksDB, op, text)
	}
}
