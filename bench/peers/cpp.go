package main

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall
// #cgo LDFLAGS: -lrocksdb -lstdc++
// #include <stdlib.h>
// #include "cpp.h"
import "C"

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/shieldmaidens/pleiades/bench"
	"github.com/shieldmaidens/pleiades/engine"
)

// cppStore is RocksDB called from C++, with the loops in C++ too: the ceiling for whoever uses this
// library with these options. It loads and runs what db_bench would, on either build of the library.
type cppStore struct{ s *C.cpp_store }

var _ bench.LoadRunner = (*cppStore)(nil)

func openCPP(optionsPath string, spec bench.Spec) bench.Opener {
	return func(dir string) (bench.Store, error) {
		values := bench.Values(spec.Seed, spec.ValueBytes)
		cdir, copts := C.CString(dir), C.CString(optionsPath)
		defer C.free(unsafe.Pointer(cdir))
		defer C.free(unsafe.Pointer(copts))
		s := &cppStore{}
		msg := C.cpp_open(cdir, copts, cacheBytes, (*C.char)(unsafe.Pointer(unsafe.SliceData(values))), C.size_t(len(values)), &s.s)
		if err := cppError(msg); err != nil {
			return nil, err
		}
		return s, nil
	}
}

// openCPPTree is openCPP with the engine's memtable.
func openCPPTree(optionsPath string, spec bench.Spec) bench.Opener {
	return func(dir string) (bench.Store, error) {
		raw, err := os.ReadFile(optionsPath)
		if err != nil {
			return nil, err
		}
		text := strings.Replace(string(raw), rocksMemtable, engineMemtable, 1)
		text = strings.Replace(text, rocksConcurrent, engineConcurrent, 1)
		path := dir + ".OPTIONS"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
		defer os.Remove(path)
		// RocksDB knows the memtable by its name once an engine was opened in the process.
		throwaway := dir + ".engine"
		defer os.RemoveAll(throwaway)
		eng, err := engine.Open(throwaway, nil)
		if err != nil {
			return nil, err
		}
		if err := eng.Close(); err != nil {
			return nil, err
		}
		return openCPP(path, spec)(dir)
	}
}

func cppError(msg *C.char) error {
	if msg == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(msg))
	return errors.New("rocksdb: " + C.GoString(msg))
}

func (s *cppStore) Session() (bench.Session, error) { return cppSession{s}, nil }

func (s *cppStore) Settle(context.Context) error { return cppError(C.cpp_settle(s.s)) }

func (s *cppStore) Close() error { return cppError(C.cpp_close(s.s)) }

var cppKinds = map[string]C.int32_t{
	bench.FillSeq: C.CPP_FILL_SEQ, bench.FillRandom: C.CPP_PUT, bench.Batch100: C.CPP_BATCH,
	bench.Sync1: C.CPP_PUT_SYNC, bench.Sync64: C.CPP_PUT_SYNC, bench.Sync256: C.CPP_PUT_SYNC,
	bench.ReadHit: C.CPP_READ_HIT, bench.ReadMiss: C.CPP_READ_MISS, bench.Scan100: C.CPP_SCAN,
}

func (s *cppStore) RunLoad(_ context.Context, l bench.Load) (bench.Result, error) {
	kind, ok := cppKinds[l.Workload]
	if !ok {
		return bench.Result{}, fmt.Errorf("no workload %q in C++", l.Workload)
	}
	load := C.cpp_load{
		kind: kind, workers: C.int32_t(l.Workers), ops: C.int64_t(l.Ops),
		warmup: C.int64_t(l.Warmup), duration: C.int64_t(l.Duration),
		keys: C.uint64_t(l.Spec.Keys), seed: C.uint64_t(l.Spec.Seed),
		value_bytes: C.int32_t(l.Spec.ValueBytes), batch_keys: C.int32_t(l.Spec.BatchKeys), scan_rows: C.int32_t(l.Spec.ScanRows),
	}
	var out C.cpp_result
	if err := cppError(C.cpp_run(s.s, &load, &out)); err != nil {
		return bench.Result{}, err
	}
	if out.ops == 0 {
		return bench.Result{}, fmt.Errorf("%w: %s", bench.ErrNoOperations, l.Workload)
	}
	elapsed := time.Duration(out.elapsed)
	return bench.Result{
		Workload: l.Workload, Writers: l.Workers, Ops: int64(out.ops), Units: int64(out.units), Bytes: int64(out.bytes), Elapsed: elapsed, CPU: time.Duration(out.cpu),
		OpsPerSecond: float64(out.ops) / elapsed.Seconds(), BytesPerSecond: float64(out.bytes) / elapsed.Seconds(), Syncs: -1,
		Latency: bench.Latency{
			Mean: time.Duration(out.mean), P50: time.Duration(out.p50), P95: time.Duration(out.p95),
			P99: time.Duration(out.p99), P999: time.Duration(out.p999), Max: time.Duration(out.max),
		},
	}, nil
}

// cppSession only loads.
type cppSession struct{ s *cppStore }

var errLoadsOnly = errors.New("the C++ store runs its own loops; its sessions only load")

func (c cppSession) PutBatch(pairs []bench.Pair, _ bool) error {
	rep := make([]byte, 12)
	binary.LittleEndian.PutUint32(rep[8:], uint32(len(pairs)))
	for _, p := range pairs {
		rep = append(rep, 1)
		rep = append(binary.AppendUvarint(rep, uint64(len(p.Key))), p.Key...)
		rep = append(binary.AppendUvarint(rep, uint64(len(p.Value))), p.Value...)
	}
	return cppError(C.cpp_write(c.s.s, (*C.char)(unsafe.Pointer(unsafe.SliceData(rep))), C.size_t(len(rep))))
}

func (c cppSession) Put([]byte, []byte, bool) error { return errLoadsOnly }
func (c cppSession) Get(dst, _ []byte) ([]byte, bool, error) {
	return dst, false, errLoadsOnly
}
func (c cppSession) Scan([]byte, int) (int, int64, error) { return 0, 0, errLoadsOnly }
func (c cppSession) Close() error                         { return nil }
