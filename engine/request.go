package engine

import "sync/atomic"

// CommitMode says what a commit waits for. Modes combine with |.
type CommitMode uint8

const (
	// NoSync returns when the write is in the write-ahead log's buffer and readable: it survives the
	// process's death, not the machine's. A batch that activates or retires a shard is synced all the same.
	NoSync CommitMode = 0
	// Sync returns when the write, and every earlier one, is durable.
	Sync CommitMode = 1
	// Reclaim marks a batch that frees space: it is let through while the disk counts as full.
	Reclaim CommitMode = 2
)

// request is one batch on its way through the committer.
type request struct {
	b    *Batch
	mode CommitMode
	// size is len(b.rep): the batch itself is the caller's until the request is taken.
	size int
	// state decides who owns the request when the caller's context ends while it is queued.
	state atomic.Int32
	done  chan error // capacity 1
}

const (
	requestQueued    = 0
	requestTaken     = 1
	requestAbandoned = 2
)

// request returns the batch's request, ready to be handed in.
func (b *Batch) request(mode CommitMode) *request {
	r := b.memory.request
	if r == nil {
		r = &request{done: make(chan error, 1)}
		b.memory.request = r
	}
	r.b, r.mode, r.size = b, mode, len(b.rep)
	r.state.Store(requestQueued)
	return r
}

// abandon takes a request back that nobody has taken from the queue yet; the committer skips it. false:
// it was taken, and done will tell.
func (r *request) abandon() bool {
	if !r.state.CompareAndSwap(requestQueued, requestAbandoned) {
		return false
	}
	r.b.memory.request = nil // it stays in the queue
	return true
}
