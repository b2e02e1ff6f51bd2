package engine

import (
	"fmt"
	"strings"
	"sync/atomic"
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
type handleCounts [handleKinds]atomic.Int64

func (h *handleCounts) add(k handleKind, n int64) { h[k].Add(n) }

// open describes the live handles, "" when there are none.
func (h *handleCounts) open() string {
	var parts []string
	for k := range h {
		switch n := h[k].Load(); {
		case n == 1:
			parts = append(parts, "1 "+handleNames[k])
		case n != 0:
			parts = append(parts, fmt.Sprintf("%d %ss", n, handleNames[k]))
		}
	}
	return strings.Join(parts, ", ")
}
