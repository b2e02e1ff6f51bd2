package bench

import (
	"math/rand/v2"
	"strconv"
)

// KeyBytes is the size of every key that is written.
const KeyBytes = 16

// appendKey appends the key of number n: 16 decimal digits. Order of keys is order of numbers.
func appendKey(dst []byte, n uint64) []byte {
	const zeros = "0000000000000000"
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], n, 10)
	dst = append(dst, zeros[min(len(d), KeyBytes):]...)
	return append(dst, d...)
}

// appendMissingKey appends a key that is never written and lies among those that are.
func appendMissingKey(dst []byte, n uint64) []byte { return append(appendKey(dst, n), '0') }

// valueSource cuts values out of 1 MiB of bytes that compress to about a half, as db_bench does: pieces
// of 100 bytes whose second half repeats the first.
type valueSource struct {
	data []byte
	size int
	at   int
}

const (
	valuePoolBytes  = 1 << 20
	valuePieceBytes = 100
)

func newValues(seed uint64, size int) *valueSource {
	rng := rand.New(rand.NewPCG(seed, 0x76616c756573))
	data := make([]byte, 0, valuePoolBytes+size+valuePieceBytes)
	for len(data) < valuePoolBytes+size {
		half := len(data)
		for range valuePieceBytes / 2 {
			data = append(data, byte(' '+rng.IntN(95)))
		}
		data = append(data, data[half:]...)
	}
	return &valueSource{data: data, size: size}
}

// next returns a value, valid for ever and not to be changed.
func (v *valueSource) next() []byte {
	if v.at+v.size > len(v.data) {
		v.at = 0
	}
	b := v.data[v.at : v.at+v.size : v.at+v.size]
	v.at += v.size
	return b
}

// fork returns a source on the same bytes for another goroutine.
func (v *valueSource) fork(worker int) *valueSource {
	return &valueSource{data: v.data, size: v.size, at: worker * 4099 % valuePoolBytes}
}

// Values returns the bytes that values are cut from, for loops in other languages.
func Values(seed uint64, valueBytes int) []byte { return newValues(seed, valueBytes).data }
