package engine

import (
	"context"
	"errors"
	"testing"
)

func TestMetrics(t *testing.T) {
	e, s := newReadingShard(t)
	mustShard(t, e, FirstUserShard+1)
	incompressible(t, e, s, 2000, 500)
	flush(t, s)
	put(t, e, s, map[string]string{"one": "more"})
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	it.First()
	m, err := e.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if m.Sequence != snap.Sequence() || m.Families != 3 || len(m.Shards) != 2 {
		t.Errorf("sequence %d, %d families, %d shards", m.Sequence, m.Families, len(m.Shards))
	}
	if m.CacheCapacityBytes != uint64(smallOptions().BlockCacheBytes) || m.CacheBytes == 0 || m.CacheBytes > 2*m.CacheCapacityBytes {
		t.Errorf("cache %d of %d", m.CacheBytes, m.CacheCapacityBytes)
	}
	if m.TableBytes < 900_000 || m.MemtableBytes == 0 || m.WALBytes == 0 || m.Flushes == 0 || m.BackgroundErrors != 0 {
		t.Errorf("tables %d, memtables %d, log %d, flushes %d", m.TableBytes, m.MemtableBytes, m.WALBytes, m.Flushes)
	}
	if c := m.Commits; c.Batches < 5 || c.Records < 2001 || c.Groups == 0 || c.Groups > c.Batches || c.Bytes < 1_000_000 {
		t.Errorf("commits %+v", c)
	}
	if m.Handles["iterator"] != 1 || m.Handles["snapshot"] != 1 || m.Handles["batch"] != 0 {
		t.Errorf("handles %v", m.Handles)
	}
	sm := m.Shards[0]
	if sm.ID != FirstUserShard || sm.Family != "1001" || sm.Incarnation != 1 || sm.Users != 1 {
		t.Errorf("shard %+v", sm)
	}
	if sm.Rows != 2001 || sm.Entries != 2000 || sm.TableFiles == 0 || sm.TableBytes < 900_000 || sm.MemtableEntries != 1 {
		t.Errorf("shard %+v", sm)
	}
	var files int
	var bytes uint64
	for _, l := range sm.Levels {
		files, bytes = files+l.Files, bytes+l.Bytes
	}
	if files != sm.TableFiles || bytes != sm.TableBytes {
		t.Errorf("levels %+v add up to %d files, %d bytes", sm.Levels, files, bytes)
	}
	if empty := m.Shards[1]; empty.Rows != 0 || empty.TableBytes != 0 || len(empty.Levels) != 0 {
		t.Errorf("empty shard %+v", empty)
	}
	if m.Local.MemtableEntries == 0 { // the shard table
		t.Errorf("local %+v", m.Local)
	}
	snap.Close()
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.DropShard(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Metrics(); !errors.Is(err, ErrShardDropped) {
		t.Errorf("metrics of a dropped shard: %v", err)
	}
	closeReading(t, e)
	if _, err := e.Metrics(); !errors.Is(err, ErrClosed) {
		t.Errorf("metrics of a closed engine: %v", err)
	}
}
