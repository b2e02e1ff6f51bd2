package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// handleKind names a kind of C object that somebody owns outside the engine's own structures.
type handleKind uint8

const (
	handleIterator handleKind = 0
	handleSnapshot handleKind = 1
	handleBatch    handleKind = 2
	handlePinned   handleKind = 3
	handleWriter   handleKind = 4
	handleKinds               = 5
)

var handleNames = [handleKinds]string{"iterator", "snapshot", "batch", "pinned value", "sst writer"}

// handleCounts counts live handles by kind: they must be zero when the engine closes.
type handleCounts struct {
	kinds [handleKinds]atomic.Int64
	// closed gets a message for handles that are closed while somebody awaits that; capacity 1.
	waiting atomic.Bool
	closed  chan struct{}
}

func (h *handleCounts) init() { h.closed = make(chan struct{}, 1) }

func (h *handleCounts) add(k handleKind, n int64) {
	h.kinds[k].Add(n)
	if n < 0 && h.waiting.Load() {
		select {
		case h.closed <- struct{}{}:
		default: // a message is there already
		}
	}
}

// await waits until no handle is open and returns "", or describes what is open after grace.
func (h *handleCounts) await(grace time.Duration) (left string) {
	h.waiting.Store(true)
	end := time.NewTimer(grace)
	defer end.Stop()
	for {
		if left = h.open(); left == "" {
			return ""
		}
		select {
		case <-h.closed:
		case <-end.C:
			return h.open()
		}
	}
}

// open describes the live handles, "" when there are none.
func (h *handleCounts) open() string {
	var parts []string
	for k := range h.kinds {
		switch n := h.kinds[k].Load(); {
		case n == 1:
			parts = append(parts, "1 "+handleNames[k])
		case n != 0:
			parts = append(parts, fmt.Sprintf("%d %ss", n, handleNames[k]))
		}
	}
	return strings.Join(parts, ", ")
}
