package kvstore

import (
	"encoding/binary"
	"fmt"
	"slices"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// recordFormat is the format of every record here that this program writes.
const recordFormat = 1

// The second and third bytes of the keys of records; part of the format, never renumber. 'a' (applied index), 'b'
// (settings of a bucket) and 'v' (mark of right counters) are others'.
const (
	metaCatalog = 'c' // 'm' 'c' 'a' <account> | 'm' 'c' 'b' <bucket>: the catalog
	metaShare   = 'g' // 'm' 'g' 'a' <account> | 'm' 'g' 'b' <bucket>: what a data shard knows of the catalog
	metaIDs     = 'i' // 'm' 'i': next ids
	metaSession = 's' // 'm' 's' <session> [<sequence>]
	metaMachine = 't' // 'm' 't': time of the machine
	metaUsage   = 'u' // 'm' 'u' 'a' <account> | 'm' 'u' 'b' <bucket>: counters

	kindAccount = 'a'
	kindBucket  = 'b'
)

const (
	idKeyBytes      = 3 + 8
	sessionKeyBytes = 2 + SessionIDBytes
	outcomeKeyBytes = sessionKeyBytes + 8
)

// 'm' | kind | 'a' or 'b' | id, 8 bytes
func appendIDKey(dst []byte, meta, kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(keys.NamespaceMeta), meta, kind), id)
}

// 'm' | 's' | session, 16 bytes
func appendSessionKey(dst []byte, id SessionID) []byte {
	return append(append(dst, byte(keys.NamespaceMeta), metaSession), id[:]...)
}

// 'm' | 's' | session, 16 bytes | sequence, 8 bytes
func appendOutcomeKey(dst []byte, id SessionID, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSessionKey(dst, id), sequence)
}

func metaKey(meta byte) []byte { return []byte{byte(keys.NamespaceMeta), meta} }

// message is what generated messages have.
type message interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
	UnmarshalVT(b []byte) error
	GetFormat() uint32
}

// encoder is the memory in which one goroutine encodes records. Messages that each batch has are kept to be filled anew.
type encoder struct {
	key, value []byte

	usage   kvstorev1.StoredUsage
	counts  kvstorev1.Usage
	machine kvstorev1.StoredMachine
	time    kvstorev1.Timestamp
	floor   kvstorev1.Timestamp
}

// encoderKeep bounds the memory that an encoder keeps.
const encoderKeep = 64 << 10

// put adds a record to the batch.
func (e *encoder) put(batch *engine.Batch, shard *engine.Shard, key []byte, m message) error {
	if cap(e.value) > encoderKeep {
		e.value = nil
	}
	n := m.SizeVT()
	e.value = slices.Grow(e.value[:0], n)[:n]
	if _, err := m.MarshalToSizedBufferVT(e.value); err != nil {
		return fmt.Errorf("kvstore: encode the record %s: %w", keys.Pretty(key), err)
	}
	return batch.Put(shard, key, e.value)
}

// putUsage adds the counters of an account or bucket.
func (e *encoder) putUsage(batch *engine.Batch, shard *engine.Shard, kind byte, id uint64, u versioning.Usage) error {
	fillUsage(&e.counts, u)
	e.usage.Format, e.usage.Usage = recordFormat, &e.counts
	e.key = appendIDKey(e.key[:0], metaUsage, kind, id)
	return e.put(batch, shard, e.key, &e.usage)
}

// putMachine adds where a machine stands.
func (e *encoder) putMachine(batch *engine.Batch, shard *engine.Shard, now, floor hlc.Timestamp) error {
	e.time.WallNanos, e.time.Logical = now.WallNanos, now.Logical
	e.floor.WallNanos, e.floor.Logical = floor.WallNanos, floor.Logical
	e.machine.Format, e.machine.Time, e.machine.SessionFloor = recordFormat, &e.time, &e.floor
	e.key = append(e.key[:0], byte(keys.NamespaceMeta), metaMachine)
	return e.put(batch, shard, e.key, &e.machine)
}

// putOutcome adds what came of one write of a session.
func (e *encoder) putOutcome(batch *engine.Batch, shard *engine.Shard, id SessionID, sequence uint64, o *kvstorev1.StoredOutcome) error {
	e.key = appendOutcomeKey(e.key[:0], id, sequence)
	return e.put(batch, shard, e.key, o)
}

// parse decodes a record strictly. Errors: ErrRecord, ErrRecordFormat.
func parse(key, stored []byte, m message) error {
	if err := m.UnmarshalVT(stored); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRecord, keys.Pretty(key), err)
	}
	switch f := m.GetFormat(); f {
	case recordFormat:
		return nil
	case 0:
		return fmt.Errorf("%w: %s has no format", ErrRecord, keys.Pretty(key))
	default:
		return fmt.Errorf("%w: %s has format %d", ErrRecordFormat, keys.Pretty(key), f)
	}
}

// walk calls fn for each record whose key begins with prefix, in their order. Key and value are valid during the call.
func walk(shard *engine.Shard, prefix []byte, fn func(key, value []byte) error) (err error) {
	end, _ := keys.PrefixEnd(nil, prefix)
	it, err := shard.NewIterator(&engine.IterOptions{Lower: prefix, Upper: end})
	if err != nil {
		return err
	}
	defer func() {
		if closing := it.Close(); err == nil {
			err = closing
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Err()
}

// recordID returns the id in a key of appendIDKey.
func recordID(key []byte) (kind byte, id uint64, err error) {
	if len(key) != idKeyBytes || key[2] != kindAccount && key[2] != kindBucket {
		return 0, 0, fmt.Errorf("%w: key %s", ErrRecord, base.Quote(key))
	}
	return key[2], binary.BigEndian.Uint64(key[3:]), nil
}

// SessionIDBytes is the length of a session's id.
const SessionIDBytes = hlc.EncodedBytes + 4

// SessionID names a session:
//
//	+---------------------------+--------+
//	| when it was born          | random |
//	| wall 8 BE, logical 4 BE   | 4      |
//	+---------------------------+--------+
type SessionID [SessionIDBytes]byte

// born returns when the session was born.
func (id SessionID) born() (hlc.Timestamp, error) { return hlc.ParseBinary(id[:hlc.EncodedBytes]) }
