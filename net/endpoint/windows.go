package endpoint

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// windows is the budget by which the receive windows of all connections may grow above what they begin with. What a
// connection got it keeps until it ends.
type windows struct {
	left  atomic.Int64
	mu    sync.Mutex
	grown map[*quic.Conn]int64
}

// allow is quic.Config.AllowConnectionWindowIncrease. It is called on the connection's own loop and must not block.
func (w *windows) allow(qc *quic.Conn, delta uint64) bool {
	if w.left.Add(-int64(delta)) < 0 {
		w.left.Add(int64(delta))
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.grown == nil {
		w.grown = map[*quic.Conn]int64{}
	}
	before, known := w.grown[qc]
	w.grown[qc] = before + int64(delta)
	if !known {
		context.AfterFunc(qc.Context(), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.left.Add(w.grown[qc])
			delete(w.grown, qc)
		})
	}
	return true
}
