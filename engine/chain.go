package engine

// #include "native_chain.h"
import "C"

import "github.com/linxGnu/grocksdb"

// writeChain ties the writes in the logs together, so that recovery notices when one is missing.
// RocksDB's own reader goes on in silence where zeros stand from a record's beginning to the end of its
// block of 32 KiB: the trace of a page that never reached the disk.
//
// Each write begins with a record that is in the log and nowhere else (LogData of the batch format):
//
//	type(1) = 03 | length(1) = 09 | tag(1) = 'c' | previous(8 BE)
//
// previous is the last sequence number of the write before it, as far as it is in the logs; 0 when
// there is none. RocksDB's own numbers would not do, since ingesting and importing tables consume some.
//
// What does not follow the write before it is left out at recovery, with all behind it: what is there is
// then a prefix again. Whether synced writes were lost is for the synced mark to say. The chain goes on
// at the write that an opening makes which accepted the loss.
type writeChain struct {
	c *C.ple_chain
	// last is the last sequence number of the last write, of this opening or recovered from the logs; 0
	// for none. It is guarded by committer.writing.
	last uint64
}

// recovered is what the logs held.
type recoveredChain struct {
	// seen says that there was any write in the logs, the last of which ends with sequence number last.
	seen bool
	last uint64
	// broken says that writes were left out, the first of which follows sequence number next.
	broken bool
	next   uint64
}

// setChain makes a recovery with opts follow the chain.
func setChain(opts *grocksdb.Options) writeChain {
	w := writeChain{c: C.ple_chain_new()}
	C.ple_options_set_chain(rawOptions(opts), w.c)
	return w
}

// recovered returns what the recovery has found.
func (w *writeChain) recovered() recoveredChain {
	var r C.ple_chain_result
	C.ple_chain_read(w.c, &r)
	return recoveredChain{seen: r.seen != 0, last: uint64(r.last), broken: r.broken != 0, next: uint64(r.next)}
}

func (w *writeChain) free() { C.ple_chain_free(w.c) }
