package storemodel_test

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/versioning"
)

// The model by itself: what a store should answer.
func Example() {
	m := storemodel.NewBucket()
	m.Settings.MaxVersions = 2
	for i, data := range []string{"one", "two", "three"} {
		op := storemodel.Op{Kind: versioning.OpPut, Key: "k", Data: data}
		ts := hlc.Timestamp{WallNanos: int64(i + 1)}
		if err := m.Refuse(&op, ts.Time()); err != nil {
			fmt.Println(err)
			continue
		}
		m.Apply(&op, ts)
	}
	k := m.Keys["k"]
	fmt.Println(k.Oldest, k.Count(), k.Latest().Data)
	_, _, err := k.At(hlc.Timestamp{WallNanos: 1})
	fmt.Println(err)
	// Output:
	// 1 2 three
	// versioning: history does not reach back that far
}

// A fuzzer's input as choices: one byte a choice, and 0 behind its end.
func ExampleBytes() {
	c := storemodel.NewBytes([]byte{7, 200, 1, 0})
	fmt.Println(c.IntN(10), c.IntN(100), c.IntN(1000), c.IntN(10), c.Len())
	// Output: 7 0 256 0 0
}
