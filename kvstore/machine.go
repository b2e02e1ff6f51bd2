package kvstore

import (
	"errors"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Result is what came of one command.
type Result struct {
	// Err is why the command was refused; then it changed nothing. It matches one of kverr's errors, or ErrOverloaded.
	Err error
	// Fault says that Err is no refusal but damage that the command met in what is stored here: another replica may have
	// done it.
	Fault bool
	// Repeated says that the command had been done before: this is the result of then.
	Repeated bool

	// Write is the answer to a put, delete, purge or set-vacuumable; Writes are those of a batch.
	Write  *kvstorev1.WriteResponse
	Writes []*kvstorev1.WriteResponse
	// Account and Bucket are what a command of the catalog made or changed, without usage.
	Account *kvstorev1.Account
	Bucket  *kvstorev1.Bucket
	// Outcomes are those of a VacuumStep.
	Outcomes []vacuum.Outcome
	// Removed is all that was removed from a bucket so far, and Done that nothing is left of it.
	Removed versioning.Usage
	Done    bool
}

// Machine is the state machine of one shard: it turns commands into the writes of an engine batch. It depends on nothing
// but the commands, their timestamps and what is stored, so that machines which apply the same commands hold the same
// bytes, however the commands were grouped into batches.
//
//	results, err := m.Apply(batch, commands, timestamps)
//	err = eng.Commit(ctx, batch, mode)
//	if err == nil { m.Committed() } else { m.Discard() }
//
// Between Apply and Committed or Discard nobody else may write to the shard. A Machine is used by one goroutine at a time;
// what the store publishes of it for readers has locks of its own.
type Machine struct {
	shard  *engine.Shard
	limits Options
	body   body

	loaded   bool
	time     hlc.Timestamp
	sessions sessionTable
	encoder  encoder
	stats    machineStats
	// idle: the last Apply changed nothing but the machine's time.
	idle bool
}

// body is what the catalog's machine and those of data differ in. Only Machine calls it.
type body interface {
	// load reads the whole state.
	load() error
	// begin is told of the batch that the next commands go into, and which these are, if all of them fit.
	begin(batch *engine.Batch, cmds []*kvstorev1.Command) error
	// first reports whether a command must be the first of its batch, because it looks at stored rows.
	first(cmd *kvstorev1.Command) bool
	// apply does the i'th command at ts. It returns the highest timestamp that it used. A refused command leaves the batch
	// as it was. Error errNextBatch: nothing was done, and the batch must be committed first. Other errors: the machine
	// can't go on.
	apply(i int, cmd *kvstorev1.Command, ts hlc.Timestamp) (Result, hlc.Timestamp, error)
	// flush adds what is written once a batch.
	flush() error
	committed()
	discard()
}

// errNextBatch says that a command has to wait for the next batch.
var errNextBatch = errors.New("kvstore: the batch is full")

// fullBatch is how many bytes of a batch end it; a single command may be larger.
const fullBatch = 8 << 20

// Apply does as many of the commands as fit into one batch, and at least one, in their order. Fewer results than commands
// say that the batch is to be committed and Apply called again with the rest. Each command is done at its timestamp, or
// right above the time of the machine, whichever is later; timestamps are above zero. Commands are not kept.
//
// After an error the batch must not be committed; call Discard. Errors: ErrCommandFormat, ErrRecord, ErrRecordFormat, and
// the engine's.
func (m *Machine) Apply(batch *engine.Batch, cmds []*kvstorev1.Command, stamps []hlc.Timestamp) ([]Result, error) {
	return m.applyInto(make([]Result, 0, len(cmds)), batch, cmds, stamps)
}

func (m *Machine) applyInto(results []Result, batch *engine.Batch, cmds []*kvstorev1.Command, stamps []hlc.Timestamp) ([]Result, error) {
	if len(stamps) != len(cmds) {
		return nil, fmt.Errorf("%w: %d commands and %d timestamps", ErrCommand, len(cmds), len(stamps))
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	for i, cmd := range cmds { // what must come first ends the batch before it
		if i > 0 && m.body.first(cmd) {
			cmds = cmds[:i]
			break
		}
	}
	if err := m.body.begin(batch, cmds); err != nil {
		return nil, err
	}
	for i, cmd := range cmds {
		if i > 0 && batch.Len() > fullBatch {
			break
		}
		r, err := m.one(batch, i, cmd, stamps[i])
		if errors.Is(err, errNextBatch) && i > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	if err := m.flush(batch); err != nil {
		return nil, err
	}
	return results, nil
}

// one does one command, unless its session has done it before.
func (m *Machine) one(batch *engine.Batch, i int, cmd *kvstorev1.Command, ts hlc.Timestamp) (Result, error) {
	if cmd.GetFormat() != recordFormat {
		return Result{}, fmt.Errorf("%w: format %d", ErrCommandFormat, cmd.GetFormat())
	}
	if m.time.IsZero() {
		m.sessions.floor = ts // no session is older than the shard
	}
	if !m.time.Less(ts) {
		next := m.time.Next()
		if !m.time.Less(next) {
			return Result{}, fmt.Errorf("%w: the machine's time is %s", hlc.ErrExhausted, m.time)
		}
		ts = next
	}
	use, r, done, err := m.sessions.find(m.shard, cmd, ts)
	if err != nil {
		return Result{}, err
	}
	highest := ts
	switch {
	case done:
	case cmd.OpenSession != nil:
		if r, err = m.sessions.open(batch, m.shard, cmd, ts); err != nil {
			return Result{}, err
		}
	case cmd.CloseSession != nil:
		if r, err = m.sessions.close(batch, m.shard, cmd); err != nil {
			return Result{}, err
		}
	default:
		if r, highest, err = m.body.apply(i, cmd, ts); err != nil {
			return Result{}, err
		}
	}
	m.time = ts
	if ts.Less(highest) {
		m.time = highest
	}
	if use.keep && !done && !r.Fault {
		if err := m.sessions.record(batch, m.shard, cmd, use, &r, ts); err != nil {
			return Result{}, err
		}
	}
	if err := m.sessions.expire(batch, m.shard, m.time); err != nil {
		return Result{}, err
	}
	m.stats.count(&r)
	return r, nil
}

// load reads the state from the shard, unless it is in memory.
func (m *Machine) load() error {
	if m.loaded {
		return nil
	}
	m.time = hlc.Timestamp{}
	m.sessions.reset(&m.limits)
	key := metaKey(metaMachine)
	stored, err := m.shard.Get(nil, key, nil)
	switch {
	case err == nil:
		var pb kvstorev1.StoredMachine
		if err := parse(key, stored, &pb); err != nil {
			return err
		}
		m.time = hlc.Timestamp{WallNanos: pb.GetTime().GetWallNanos(), Logical: pb.GetTime().GetLogical()}
		m.sessions.floor = hlc.Timestamp{WallNanos: pb.GetSessionFloor().GetWallNanos(), Logical: pb.GetSessionFloor().GetLogical()}
	case !errors.Is(err, engine.ErrNotFound) || errors.Is(err, engine.ErrShardDropped):
		return err
	}
	if err := m.sessions.load(m.shard); err != nil {
		return err
	}
	if err := m.body.load(); err != nil {
		return err
	}
	m.loaded = true
	return nil
}

// flush adds what is written once a batch.
func (m *Machine) flush(batch *engine.Batch) error {
	if err := m.body.flush(); err != nil {
		return err
	}
	m.idle = batch.Count() == 0
	return m.encoder.putMachine(batch, m.shard, m.time, m.sessions.floor)
}

// Committed says that the batch was committed.
func (m *Machine) Committed() {
	m.sessions.committed()
	m.body.committed()
}

// Discard says that the batch was not committed, or that nobody knows: the next Apply reads the state anew.
func (m *Machine) Discard() {
	m.body.discard()
	m.loaded = false
}

// Time returns the highest timestamp that was applied.
func (m *Machine) Time() hlc.Timestamp { return m.time }
