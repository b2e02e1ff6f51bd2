package engine

import (
	"fmt"
	"testing"
)

// BenchmarkSuffix measures a scan of 100 keys that wants one row of each key's many, both ways.
func BenchmarkSuffix(b *testing.B) {
	for _, rows := range []int{2, 20, 255} {
		for _, flushed := range []bool{false, true} {
			e := openAt(b, b.TempDir(), &Options{ReserveBytes: -1})
			s := mustShard(b, e, 1001)
			value := make([]byte, 100)
			for k := range 1000 {
				batch := e.NewBatch()
				for r := range rows - 1 {
					if err := batch.Put(s, fmt.Appendf(nil, "key%06d\x00:%c", k, rune(1+r%120)), value); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Put(s, fmt.Appendf(nil, "key%06d\x00@l", k), value); err != nil {
					b.Fatal(err)
				}
				if err := e.Commit(b.Context(), batch, NoSync); err != nil {
					b.Fatal(err)
				}
				batch.Close()
			}
			if flushed {
				if err := s.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			for _, way := range []string{"forward", "reverse"} {
				b.Run(fmt.Sprintf("rows=%d/flushed=%v/way=%s", rows, flushed, way), func(b *testing.B) {
					for b.Loop() {
						it, err := s.NewIterator(&IterOptions{Suffix: []byte("@l")})
						if err != nil {
							b.Fatal(err)
						}
						n, ok := 0, false
						if way == "forward" {
							for ok = it.SeekGE([]byte("key000500")); ok && n < 100; ok = it.Next() {
								n++
							}
						} else {
							for ok = it.SeekLT([]byte("key000500")); ok && n < 100; ok = it.Prev() {
								n++
							}
						}
						if n != 100 {
							b.Fatal(n, it.Err())
						}
						it.Close()
					}
				})
			}
		}
	}
}
