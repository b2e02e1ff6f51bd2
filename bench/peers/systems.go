package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/shieldmaidens/pleiades/bench"
	"github.com/shieldmaidens/pleiades/engine"
)

// What every system gets alike.
const (
	cacheBytes    = 256 << 20
	memtableBytes = 64 << 20
	bloomBits     = 10
)

// system is one thing that is measured.
type system struct {
	name string
	// about is the line under the table.
	about string
	// goRuntime says that GOMAXPROCS matters: its best value is looked for.
	goRuntime bool
	// only lists the workloads that it runs; nil means all.
	only []string
	// open makes a store, for systems that run in bench's loops.
	open func(e env) bench.Opener
}

// env is what openers need.
type env struct {
	// options is the OPTIONS file of a Pleiades engine.
	options string
	spec    bench.Spec
}

// systems lists all, in the order of the table. The first is what the others are compared with.
func systems() []system {
	plain := func(open bench.Opener) func(env) bench.Opener { return func(env) bench.Opener { return open } }
	return []system{
		{name: "pleiades", about: "package engine, its default options", goRuntime: true, open: plain(bench.OpenEngine)},
		{
			name: "rocksdb-go", about: "goroutines calling RocksDB through grocksdb; library and options of the engine", goRuntime: true,
			open: func(e env) bench.Opener { return openDirect(e.options) },
		},
		{
			name: "rocksdb-c++", about: "the same loops in C++; library and options of the engine",
			open: func(e env) bench.Opener { return openCPP(e.options, e.spec) },
		},
		{
			name: "c++-tree", about: "the same loops in C++ with the engine's own memtable: what Go and the engine cost",
			open: func(e env) bench.Opener { return openCPPTree(e.options, e.spec) },
		},
		{name: "db_bench", about: "RocksDB's own tool on Debian's library, with the engine's options"},
		{name: "pebble", about: "Pebble v2", goRuntime: true, open: plain(openPebble)},
		{name: "badger", about: "Badger v4, without conflict detection", goRuntime: true, open: plain(openBadger)},
		{name: "bbolt", about: "bbolt, group commit by Batch; unsynced means NoSync", goRuntime: true, open: plain(openBbolt)},
		{name: "versioned", about: "package versioning: every put keeps the old version", goRuntime: true, open: plain(bench.OpenVersioned)},
		{
			name: "pebble-versioned", about: "the same records, checksums, clock and locks on Pebble v2", goRuntime: true,
			open: plain(openPebbleVersioned),
		},
	}
}

func findSystem(name string) (system, error) {
	for _, s := range systems() {
		if s.name == name {
			return s, nil
		}
	}
	return system{}, fmt.Errorf("no system %q", name)
}

// wanted returns the workloads of names that s runs.
func (s *system) wanted(names []string) []string {
	var have []string
	for _, n := range names {
		if s.only == nil || slices.Contains(s.only, n) {
			have = append(have, n)
		}
	}
	return have
}

// run runs workloads on s in this process.
func (s *system) run(ctx context.Context, names []string, e env) ([]bench.Result, error) {
	if s.open == nil {
		return runDBBench(ctx, names, e)
	}
	return bench.RunStore(ctx, s.open(e), names, e.spec, nil)
}

var (
	filterLine   = regexp.MustCompile(`filter_policy=\S+`)
	memtableLine = regexp.MustCompile(`memtable_factory=\S+`)
	writersLine  = regexp.MustCompile(`allow_concurrent_memtable_write=\S+`)
)

// The engine's memtable is not RocksDB's: others get RocksDB's own with its own default, many writers.
const (
	engineMemtable   = "memtable_factory=PleiadesTree"
	rocksMemtable    = "memtable_factory=SkipListFactory"
	engineConcurrent = "allow_concurrent_memtable_write=false"
	rocksConcurrent  = "allow_concurrent_memtable_write=true"
)

// writeOptions makes an engine in dir and returns the path of a copy of its OPTIONS file, alone in a
// directory: so others use what the engine uses, whatever that becomes, on RocksDB's own memtable.
func writeOptions(dir string) (string, error) {
	store := filepath.Join(dir, "template")
	eng, err := engine.Open(store, nil)
	if err != nil {
		return "", err
	}
	if err := eng.Close(); err != nil {
		return "", err
	}
	defer os.RemoveAll(store)
	found, err := filepath.Glob(filepath.Join(store, "OPTIONS-*"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("an engine's directory has no OPTIONS file: %w", err)
	}
	slices.Sort(found)
	raw, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		return "", err
	}
	// RocksDB writes a filter that was made by its C API under a name that it cannot read back.
	filter := fmt.Sprintf("filter_policy=bloomfilter:%d:false", bloomBits)
	text := filterLine.ReplaceAllString(string(raw), filter)
	if !strings.Contains(text, filter) {
		return "", errors.New("the engine's OPTIONS file names no filter")
	}
	if !strings.Contains(text, engineMemtable) || !strings.Contains(text, engineConcurrent) {
		return "", errors.New("the engine's OPTIONS file names another memtable")
	}
	text = memtableLine.ReplaceAllString(text, rocksMemtable)
	text = writersLine.ReplaceAllString(text, rocksConcurrent)
	alone := filepath.Join(dir, "options")
	if err := os.MkdirAll(alone, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(alone, "OPTIONS-000005")
	return path, os.WriteFile(path, []byte(text), 0o644)
}
