package engine

import "sync"

// Iterators take their buffers from pools of the three sizes that the default bounds lead to; other
// sizes are made and dropped.
var iterBuffers = [...]struct {
	size int
	pool sync.Pool
}{{size: firstFillBytes}, {size: firstFillBytes * fillGrowth}, {size: firstFillBytes * fillGrowth * fillGrowth}}

// getIterBuffer returns a buffer of exactly size bytes with any contents.
func getIterBuffer(size int) []byte {
	for i := range iterBuffers {
		if p := &iterBuffers[i]; p.size == size {
			if b, ok := p.pool.Get().(*[]byte); ok {
				return *b
			}
		}
	}
	return make([]byte, size)
}

// putIterBuffer takes a buffer back that nobody uses any more.
func putIterBuffer(b []byte) {
	for i := range iterBuffers {
		if p := &iterBuffers[i]; p.size == len(b) {
			p.pool.Put(&b)
		}
	}
}
