package engine

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/linxGnu/grocksdb"
)

// shardState is where an incarnation stands in its life: staged, then live, then retired. It only
// moves forward.
type shardState int32

const (
	shardStaged   shardState = 1 // a family without a live record: a leftover unless activated
	shardLive     shardState = 2 // named by the shard table
	shardFlipping shardState = 4 // its activation is being written: it can't be discarded any more
	shardRetired  shardState = 3 // dropped, replaced or discarded: no new users
)

// Shard is one incarnation of one shard: a column family. It is a handle that stays valid as Go
// value for ever; once the incarnation was dropped or replaced, or the engine closed, every method
// that touches data returns ErrShardDropped or ErrClosed. All methods are safe for concurrent use.
type Shard struct {
	e    *Engine
	id   ShardID // 0 for node-local storage
	inc  Incarnation
	name string

	// cf is owned by the engine and destroyed behind users; cfp is the rocksdb_column_family_handle_t.
	cf  *grocksdb.ColumnFamilyHandle
	cfp unsafe.Pointer
	// cfID is the number by which write batches name the family.
	cfID uint32

	// users holds the family: operations, iterators and batches enter, dropping shuts and waits.
	users gate
	state atomic.Int32
	claim atomic.Pointer[Claim]
	// gone closes when the family has been dropped from RocksDB and its handle destroyed.
	gone chan struct{}
}

// ID returns the shard's id; 0 for node-local storage.
func (s *Shard) ID() ShardID { return s.id }

// Incarnation returns which incarnation of the shard this is, from 1.
func (s *Shard) Incarnation() Incarnation { return s.inc }

// Name returns the column family's name as RocksDB's tools show it.
func (s *Shard) Name() string { return s.name }

// Engine returns the engine that the shard belongs to.
func (s *Shard) Engine() *Engine { return s.e }

// Live reports whether the shard table named this incarnation a moment ago.
func (s *Shard) Live() bool { return shardState(s.state.Load()) == shardLive && !s.users.isShut() }

// Err returns why the incarnation can't be used any more, ErrShardDropped or ErrClosed; nil while it can.
func (s *Shard) Err() error {
	if s.users.isShut() {
		return s.goneErr()
	}
	return nil
}

// enter takes a reference on the family for one operation or handle; each nil needs one leave.
func (s *Shard) enter() error {
	if s.users.enter() {
		return nil
	}
	return s.goneErr()
}

// leave gives the reference back.
func (s *Shard) leave() { s.users.leave() }

// goneErr says why the shard can't be used.
func (s *Shard) goneErr() error {
	if err := s.e.closedErr(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrShardDropped, s.describe())
}

// describe names the shard in messages.
func (s *Shard) describe() string {
	if s.id == 0 {
		return "node-local storage"
	}
	return fmt.Sprintf("shard %d (family %q)", s.id, s.name)
}
