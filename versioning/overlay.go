package versioning

import (
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// overlay is what an applier knows of the keys that it touched: their records as they will be once
// the batch is committed.
type overlay struct {
	states []*keyState
	// index finds the states of a hash, once there are more than a few.
	index   map[uint64]*keyState
	indexed bool
	first   keyState // the memory of states[0]
	key     []byte
	// spare are states of earlier batches.
	spare []*keyState
}

// overlayScan is how many keys are searched one by one.
const overlayScan = 4

// keyState is one key of an overlay.
type keyState struct {
	// key is the cache's id of the store, the stem, and room for a suffix.
	key     []byte
	stemEnd int
	hash    uint64
	// sameHash is the next state in the index under this hash.
	sameHash *keyState

	loaded     bool
	desc       descriptor
	latest     []byte
	haveLatest bool
	// latestOwned: nothing else lies in latest's memory and nobody will change it.
	latestOwned bool
	// slots are those that the batch changes; nil until it changes one.
	slots map[uint8]slotSource
	// floor is the highest timestamp that the batch gave to this key; it outlives a purge.
	floor   hlc.Timestamp
	changed bool
	// prefetched counts records that were read for the next operation ahead of it.
	prefetched int
}

// slotSource is where the bytes of a slot are found: in memory, or in the engine under the slot in
// which they lay before the batch.
type slotSource struct {
	bytes  []byte
	stored uint8
}

const cacheIDBytes = 8

func (st *keyState) cacheKey() []byte { return st.key[:st.stemEnd] }
func (st *keyState) stem() []byte     { return st.key[cacheIDBytes:st.stemEnd] }

// recordKey returns the stored key of one of the key's records, valid until the next call.
func (st *keyState) recordKey(delimiter, tag byte) []byte {
	st.key = append(st.key[:st.stemEnd], delimiter, tag)
	return st.key[cacheIDBytes:]
}

// latestForCache returns the latest version as the cache may keep it, or nil.
func (st *keyState) latestForCache() []byte {
	switch {
	case !st.haveLatest || len(st.latest) > cacheLatestBytes:
		return nil
	case st.latestOwned:
		return st.latest
	}
	return append([]byte(nil), st.latest...)
}

// slot returns where the bytes of a slot are.
func (st *keyState) slot(slot uint8) slotSource {
	if src, ok := st.slots[slot]; ok {
		return src
	}
	return slotSource{stored: slot}
}

// rememberSlots notes what a plan does to the slots. All sources are as before the plan.
func (st *keyState) rememberSlots(p *plan) {
	if p.archive == 0 && len(p.moves) == 0 {
		return // a slot that was only removed is never a source again before it is written
	}
	if len(p.moves) == 0 {
		if st.slots == nil {
			st.slots = map[uint8]slotSource{}
		}
		st.slots[p.archive] = slotSource{bytes: st.latest}
		return
	}
	next := make(map[uint8]slotSource, len(p.moves)+1)
	for slot, src := range st.slots {
		next[slot] = src
	}
	for _, m := range p.moves {
		next[m.to] = st.slot(m.from)
	}
	if p.archive != 0 {
		next[p.archive] = slotSource{bytes: st.latest}
	}
	st.slots = next
}

// state returns the state of a key, new if the overlay does not have it.
func (o *overlay) state(s *Store, bucket keys.BucketID, key []byte) *keyState {
	o.key = s.appendCacheKey(o.key[:0], bucket, key)
	hash := s.cache.hash(o.key)
	if st := o.find(hash); st != nil {
		return st
	}
	st := &o.first
	if n := len(o.spare); len(o.states) > 0 && n > 0 {
		st, o.spare = o.spare[n-1], o.spare[:n-1]
	} else if len(o.states) > 0 {
		st = new(keyState)
	}
	n := len(o.key)
	if cap(st.key) < n+keys.SuffixBytes {
		st.key = make([]byte, 0, n+keys.SuffixBytes)
	}
	st.key = append(st.key[:0], o.key...)
	st.stemEnd, st.hash = n, hash
	o.states = append(o.states, st)
	if o.indexed {
		o.enter(st)
	} else if len(o.states) > overlayScan {
		if o.indexed = true; o.index == nil {
			o.index = make(map[uint64]*keyState, 4*overlayScan)
		}
		for _, st := range o.states {
			o.enter(st)
		}
	}
	return st
}

// find returns the state of the key o.key, or nil.
func (o *overlay) find(hash uint64) *keyState {
	if o.indexed {
		st := o.index[hash]
		for st != nil && string(st.cacheKey()) != string(o.key) {
			st = st.sameHash
		}
		return st
	}
	for _, st := range o.states {
		if st.hash == hash && string(st.cacheKey()) == string(o.key) {
			return st
		}
	}
	return nil
}

func (o *overlay) enter(st *keyState) {
	st.sameHash = o.index[st.hash]
	o.index[st.hash] = st
}

const (
	// spareStates and spareKeyBytes bound what an overlay keeps for the next batch.
	spareStates   = 1024
	spareKeyBytes = 1 << 10
)

// reset forgets all keys and keeps memory.
func (o *overlay) reset() {
	for i, st := range o.states {
		key := st.key
		if cap(key) > spareKeyBytes {
			key = nil
		}
		*st = keyState{key: key[:0]}
		if i > 0 && len(o.spare) < spareStates {
			o.spare = append(o.spare, st)
		}
	}
	clear(o.states)
	o.states, o.indexed = o.states[:0], false
	if cap(o.states) > 4*spareStates || len(o.index) > 4*spareStates {
		o.states, o.index = nil, nil
	}
	clear(o.index)
}
