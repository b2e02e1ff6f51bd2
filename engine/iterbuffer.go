package engine

import "sync"

// Iterators take their buffers from pools of the three sizes that the default bounds lead to; other
// sizes are made and dropped. The pools hold pointers to arrays: a slice would be boxed at each Put.
const (
	iterBytes1 = firstFillBytes
	iterBytes2 = iterBytes1 * fillBytesGrowth
	iterBytes3 = iterBytes2 * fillBytesGrowth
)

var iterPool1, iterPool2, iterPool3 sync.Pool

// getIterBuffer returns a buffer of exactly size bytes with any contents.
func getIterBuffer(size int) []byte {
	switch size {
	case iterBytes1:
		if b, ok := iterPool1.Get().(*[iterBytes1]byte); ok {
			return b[:]
		}
	case iterBytes2:
		if b, ok := iterPool2.Get().(*[iterBytes2]byte); ok {
			return b[:]
		}
	case iterBytes3:
		if b, ok := iterPool3.Get().(*[iterBytes3]byte); ok {
			return b[:]
		}
	}
	return make([]byte, size)
}

// putIterBuffer takes a buffer back that nobody uses any more.
func putIterBuffer(b []byte) {
	switch len(b) {
	case iterBytes1:
		iterPool1.Put((*[iterBytes1]byte)(b))
	case iterBytes2:
		iterPool2.Put((*[iterBytes2]byte)(b))
	case iterBytes3:
		iterPool3.Put((*[iterBytes3]byte)(b))
	}
}
