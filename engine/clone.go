package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/linxGnu/grocksdb"
)

// CloneShard makes dst a copy of what src holds now, by hard links: it costs O(files), not O(bytes),
// and both sides share the disk space until compactions part them. Writes to src that run meanwhile
// are in the copy or not, each batch whole. ErrShardExists when dst is live.
func (e *Engine) CloneShard(ctx context.Context, src *Shard, dst ShardID) (*Shard, error) {
	if _, err := e.Shard(dst); err == nil {
		return nil, fmt.Errorf("%w: shard %d", ErrShardExists, dst)
	}
	staged, err := e.StageClone(ctx, src, dst)
	if err != nil {
		return nil, err
	}
	return e.activate(ctx, staged)
}

// StageClone is CloneShard without the last step: the copy is staged (see StageShard), so that the
// caller can trim it and make it live in one batch with other writes.
func (e *Engine) StageClone(ctx context.Context, src *Shard, dst ShardID) (*Shard, error) {
	if src.e != e || src.id == 0 {
		return nil, fmt.Errorf("%w: %s cannot be cloned here", ErrInvalid, src.describe())
	}
	if err := src.enter(); err != nil {
		return nil, err
	}
	defer src.leave()
	staging := filepath.Join(e.dir, stagingDirName)
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return nil, fsError("create "+staging, err)
	}
	parent, err := os.MkdirTemp(staging, "clone-")
	if err != nil {
		return nil, fsError("create a directory in "+staging, err)
	}
	defer os.RemoveAll(parent) // what the import has moved is gone from it already
	// An export may have to compact (see Shard.Export): other shards are made and dropped meanwhile.
	x, err := e.exportFamily(ctx, src, filepath.Join(parent, "export"))
	if err != nil {
		return nil, err
	}
	return e.stage(ctx, dst, func(name string) (*grocksdb.ColumnFamilyHandle, error) {
		return e.importFamily(name, x, false)
	})
}

// StageImport makes a staged incarnation of a shard out of an export (see Shard.Export and
// ReadExport), which stays the caller's and unchanged. Files are linked when it lies on the same file
// system, else copied.
func (e *Engine) StageImport(ctx context.Context, id ShardID, x *Export) (*Shard, error) {
	return e.stage(ctx, id, func(name string) (*grocksdb.ColumnFamilyHandle, error) {
		return e.importFamily(name, x, true)
	})
}
