package engine

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerifyChecksums(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	e := openReading(t, dir)
	s := mustShard(t, e, FirstUserShard)
	other := mustShard(t, e, FirstUserShard+1)
	for range 3 {
		for _, s := range []*Shard{s, other} {
			rows := map[string]string{}
			for i := range 2000 {
				rows[string(keyOf(i))] = strings.Repeat("v", 50)
			}
			put(t, e, s, rows)
			flush(t, s)
		}
	}
	var calls int
	var last, total int64
	if err := e.VerifyChecksums(ctx, func(done, all int64) {
		if done <= last || done > all || total != 0 && all != total {
			t.Errorf("progress %d of %d after %d of %d", done, all, last, total)
		}
		calls, last, total = calls+1, done, all
	}); err != nil {
		t.Fatal(err)
	}
	if calls < 2 || last != total {
		t.Errorf("%d files, %d of %d bytes", calls, last, total)
	}
	cut, cancel := context.WithCancel(ctx)
	calls = 0
	err := e.VerifyChecksums(cut, func(int64, int64) { calls++; cancel() })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("cancelled after one file: %d files, %v", calls, err)
	}

	files, err := e.liveFiles(other)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	name := files[0].name
	closeReading(t, e)
	damageTables(t, dir, func(n string) bool { return n == name })
	e = openReading(t, dir)
	calls = 0
	err = e.VerifyChecksums(ctx, func(int64, int64) { calls++ })
	if !errors.Is(err, ErrCorruption) || !strings.Contains(err.Error(), filepath.Join(dir, name)) || !strings.Contains(err.Error(), "shard 1002") {
		t.Errorf("damaged table: %v", err)
	}
	if strings.Contains(err.Error(), "shard 1001") {
		t.Errorf("it blames an intact shard: %v", err)
	}
	if calls < 2 {
		t.Errorf("it stopped after %d files", calls)
	}
	if e.Err() == nil {
		t.Error("damage was found and the engine goes on writing")
	}
	_ = e.Close()
	<-e.destroyed
}
