package kvstore

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
)

// expirePerCommand bounds the sessions that one command removes beside what it is about.
const expirePerCommand = 2

// session is one session as its rows describe it.
type session struct {
	id     SessionID
	caller Caller
	// lowWater is the highest that any row has; no row is below it.
	lowWater uint64
	// used is when it was opened or did its last write.
	used hlc.Timestamp
	// rows are the writes whose outcome is kept: the outcome itself while it is not committed, nil when it is stored.
	rows map[uint64]*kvstorev1.StoredOutcome
	at   *list.Element // in sessionTable.byUse
}

// sessionTable is the sessions of one machine. It is a function of the commands: it expires by the machine's time alone.
type sessionTable struct {
	limits *Options
	byID   map[SessionID]*session
	byUse  *list.List // least recently used first
	// counts is how many sessions each caller has.
	counts map[Caller]int
	// floor: an unknown session that was born before has expired.
	floor hlc.Timestamp
	// fresh are the rows whose outcome is in memory.
	fresh   []freshRow
	encoder encoder
}

// freshRow is one outcome that is not committed.
type freshRow struct {
	session *session
	seq     uint64
}

// sessionUse is the session of one command.
type sessionUse struct {
	id SessionID
	// keep: the command has a session, and its outcome is to be kept.
	keep bool
	// session is nil when the command is the first of its session here.
	session *session
}

func (t *sessionTable) reset(limits *Options) {
	*t = sessionTable{limits: limits, byID: map[SessionID]*session{}, byUse: list.New(), counts: map[Caller]int{}}
}

// fewSessions is how many sessions a caller may always have, if there may be as many at all.
const fewSessions = 16

// full returns why a caller can have no further session, nil when it can. One caller has at most a quarter of all, so that
// it does not keep the others from writing.
func (t *sessionTable) full(caller Caller) error {
	most := min(max(t.limits.MaxSessions/4, fewSessions), t.limits.MaxSessions)
	switch {
	case len(t.byID) >= t.limits.MaxSessions:
		return fmt.Errorf("%w: %d sessions are open; try later, or close some", ErrOverloaded, len(t.byID))
	case t.counts[caller] >= most:
		return fmt.Errorf("%w: %v has %d sessions open; try later, or close some", ErrOverloaded, caller, t.counts[caller])
	}
	return nil
}

// load reads all sessions and which rows they have.
func (t *sessionTable) load(shard *engine.Shard) error {
	var current *session
	err := walk(shard, metaKey(metaSession), func(key, value []byte) error {
		switch len(key) {
		case sessionKeyBytes:
			var pb kvstorev1.StoredSession
			if err := parse(key, value, &pb); err != nil {
				return err
			}
			current = &session{
				id: SessionID(key[2:]), caller: callerOf(pb.GetCaller()), rows: map[uint64]*kvstorev1.StoredOutcome{},
				used: hlc.Timestamp{WallNanos: pb.GetOpened().GetWallNanos(), Logical: pb.GetOpened().GetLogical()},
			}
			t.byID[current.id] = current
			t.counts[current.caller]++
			return nil
		case outcomeKeyBytes:
			if current == nil || current.id != SessionID(key[2:sessionKeyBytes]) {
				return fmt.Errorf("%w: an outcome without its session: %s", ErrRecord, keys.Pretty(key))
			}
			var pb kvstorev1.StoredOutcome
			if err := parse(key, value, &pb); err != nil {
				return err
			}
			current.rows[binary.BigEndian.Uint64(key[sessionKeyBytes:])] = nil
			current.lowWater = max(current.lowWater, pb.GetLowWater())
			if used := (hlc.Timestamp{WallNanos: pb.GetTime().GetWallNanos(), Logical: pb.GetTime().GetLogical()}); current.used.Less(used) {
				current.used = used
			}
			return nil
		}
		return fmt.Errorf("%w: key %s", ErrRecord, base.Quote(key))
	})
	if err != nil {
		return err
	}
	t.order()
	return nil
}

// expired reports whether a session has idled for too long at ts.
func (t *sessionTable) expired(s *session, ts hlc.Timestamp) bool {
	return ts.WallNanos-s.used.WallNanos > int64(t.limits.SessionIdle)
}

// find looks a command's session up, without changing anything. done says that the result stands already: a repetition,
// or a refusal.
func (t *sessionTable) find(shard *engine.Shard, cmd *kvstorev1.Command, ts hlc.Timestamp) (use sessionUse, r Result, done bool, err error) {
	if cmd.Session == nil {
		return use, r, false, nil
	}
	refuse := func(err error) (sessionUse, Result, bool, error) { return sessionUse{}, Result{Err: err}, true, nil }
	if len(cmd.Session.Id) != SessionIDBytes {
		return refuse(fmt.Errorf("%w: a session id of %d bytes", kverr.ErrBadRequest, len(cmd.Session.Id)))
	}
	use.id, use.keep = SessionID(cmd.Session.Id), true
	id, seq, low := use.id, cmd.Session.Sequence, cmd.Session.LowWater
	if seq == 0 || low > seq {
		return refuse(fmt.Errorf("%w: sequence %d, low water %d", kverr.ErrSequence, seq, low))
	}
	s := t.byID[id]
	if s == nil {
		born, err := id.born()
		switch {
		case err != nil || ts.Less(born):
			return refuse(fmt.Errorf("%w: a session born in the future", kverr.ErrBadRequest))
		case born.Less(t.floor):
			return refuse(fmt.Errorf("%w: nobody knows it here", kverr.ErrSessionExpired))
		}
		if err := t.full(callerOf(cmd.Caller)); err != nil {
			return refuse(err)
		}
		return use, r, false, nil
	}
	switch {
	case s.caller != callerOf(cmd.Caller):
		return refuse(fmt.Errorf("%w: it belongs to %v", kverr.ErrSessionForeign, s.caller))
	case t.expired(s, ts):
		return refuse(fmt.Errorf("%w: it has idled for too long", kverr.ErrSessionExpired))
	case seq < s.lowWater:
		return refuse(fmt.Errorf("%w: %d is below the low-water mark %d", kverr.ErrSequence, seq, s.lowWater))
	}
	use.session = s
	if outcome, ok := s.rows[seq]; ok {
		r, err := t.repeat(shard, cmd, id, seq, outcome)
		return use, r, true, err
	}
	if len(s.rows) >= t.limits.MaxSessionRows && s.above(low) >= t.limits.MaxSessionRows {
		return refuse(fmt.Errorf("%w: %d writes of the session are above its low-water mark", ErrOverloaded, s.above(low)))
	}
	return use, r, false, nil
}

// repeat returns the result of a write that was done before.
func (t *sessionTable) repeat(shard *engine.Shard, cmd *kvstorev1.Command, id SessionID, seq uint64, outcome *kvstorev1.StoredOutcome) (Result, error) {
	if outcome == nil {
		key := appendOutcomeKey(nil, id, seq)
		stored, err := shard.Get(nil, key, nil)
		if err != nil {
			if errors.Is(err, engine.ErrNotFound) {
				err = fmt.Errorf("%w: %s is missing", ErrRecord, keys.Pretty(key))
			}
			return Result{}, err
		}
		outcome = new(kvstorev1.StoredOutcome)
		if err := parse(key, stored, outcome); err != nil {
			return Result{}, err
		}
	}
	if outcome.Fingerprint != cmd.Fingerprint {
		return Result{Err: fmt.Errorf("%w: %d was another write", kverr.ErrSequence, seq)}, nil
	}
	r := Result{Repeated: true, Write: clone(outcome.Write), Account: clone(outcome.Account), Bucket: clone(outcome.Bucket)}
	for _, w := range outcome.Writes {
		r.Writes = append(r.Writes, clone(w))
	}
	if outcome.ErrorNumber != 0 {
		sentinel := kverr.Sentinel(outcome.ErrorNumber)
		if sentinel == nil {
			return Result{}, fmt.Errorf("%w: an outcome with error %d", ErrRecordFormat, outcome.ErrorNumber)
		}
		r.Err = &repeatedError{text: outcome.ErrorText, sentinel: sentinel}
	}
	return r, nil
}

// above returns how many rows stay with that low-water mark.
func (s *session) above(low uint64) (n int) {
	for seq := range s.rows {
		if seq >= low {
			n++
		}
	}
	return n
}

// storedOutcome is the memory of one outcome.
type storedOutcome struct {
	outcome kvstorev1.StoredOutcome
	time    kvstorev1.Timestamp
}

// record keeps the outcome of a command, and forgets those below its low-water mark.
func (t *sessionTable) record(batch *engine.Batch, shard *engine.Shard, cmd *kvstorev1.Command, use sessionUse, r *Result, ts hlc.Timestamp) error {
	if r.Err != nil && kverr.NumberOf(r.Err) == 0 {
		return nil // overload: not a decision about the write
	}
	s := use.session
	if s == nil {
		var err error
		if s, err = t.create(batch, shard, use.id, callerOf(cmd.Caller), ts); err != nil {
			return err
		}
	}
	seq, low := cmd.Session.Sequence, max(s.lowWater, cmd.Session.LowWater)
	o := new(storedOutcome)
	outcome := &o.outcome
	o.time.WallNanos, o.time.Logical = ts.WallNanos, ts.Logical
	outcome.Format, outcome.Fingerprint, outcome.LowWater, outcome.Time = recordFormat, cmd.Fingerprint, low, &o.time
	outcome.Write, outcome.Writes, outcome.Account, outcome.Bucket = r.Write, r.Writes, r.Account, r.Bucket
	if r.Err != nil {
		outcome.ErrorNumber, outcome.ErrorText = kverr.NumberOf(r.Err), cutText(r.Err.Error())
	}
	if err := t.encoder.putOutcome(batch, shard, s.id, seq, outcome); err != nil {
		return err
	}
	if low > s.lowWater {
		if err := t.forget(batch, shard, s, low); err != nil {
			return err
		}
		s.lowWater = low
	}
	s.rows[seq] = outcome
	s.used = ts
	t.byUse.MoveToBack(s.at)
	t.fresh = append(t.fresh, freshRow{s, seq})
	return nil
}

// forget removes the rows below low.
func (t *sessionTable) forget(batch *engine.Batch, shard *engine.Shard, s *session, low uint64) error {
	for seq := range s.rows {
		if seq >= low {
			continue
		}
		t.encoder.key = appendOutcomeKey(t.encoder.key[:0], s.id, seq)
		if err := batch.Delete(shard, t.encoder.key); err != nil {
			return err
		}
		delete(s.rows, seq)
	}
	return nil
}

// create adds a session that did not exist.
func (t *sessionTable) create(batch *engine.Batch, shard *engine.Shard, id SessionID, caller Caller, ts hlc.Timestamp) (*session, error) {
	caller.Name = strings.Clone(caller.Name)
	s := &session{id: id, caller: caller, used: ts, rows: map[uint64]*kvstorev1.StoredOutcome{}}
	err := t.encoder.put(batch, shard, appendSessionKey(nil, id), &kvstorev1.StoredSession{
		Format: recordFormat, Caller: caller.message(), Opened: stamp(ts),
	})
	if err != nil {
		return nil, err
	}
	t.byID[id] = s
	t.counts[caller]++
	s.at = t.byUse.PushBack(s)
	return s, nil
}

// remove deletes a session with its rows. Whatever comes under its id from now on was born below the floor.
func (t *sessionTable) remove(batch *engine.Batch, shard *engine.Shard, s *session) error {
	for seq := range s.rows {
		t.encoder.key = appendOutcomeKey(t.encoder.key[:0], s.id, seq)
		if err := batch.Delete(shard, t.encoder.key); err != nil {
			return err
		}
	}
	if err := batch.Delete(shard, appendSessionKey(nil, s.id)); err != nil {
		return err
	}
	delete(t.byID, s.id)
	if t.counts[s.caller]--; t.counts[s.caller] == 0 {
		delete(t.counts, s.caller)
	}
	t.byUse.Remove(s.at)
	s.rows = nil
	if born, err := s.id.born(); err == nil && !born.Less(t.floor) {
		t.floor = born.Next()
	}
	return nil
}

// expire removes some of the sessions that have idled for too long.
func (t *sessionTable) expire(batch *engine.Batch, shard *engine.Shard, now hlc.Timestamp) error {
	for range expirePerCommand {
		oldest := t.byUse.Front()
		if oldest == nil || !t.expired(oldest.Value.(*session), now) {
			return nil
		}
		if err := t.remove(batch, shard, oldest.Value.(*session)); err != nil {
			return err
		}
	}
	return nil
}

// committed forgets the outcomes that are stored now.
func (t *sessionTable) committed() {
	for _, f := range t.fresh {
		if f.session.rows[f.seq] != nil { // not forgotten meanwhile
			f.session.rows[f.seq] = nil
		}
	}
	clear(t.fresh)
	t.fresh = t.fresh[:0]
}
