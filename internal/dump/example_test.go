package dump_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
)

// A dump is a stream of versions: written, and read back.
func Example() {
	var file bytes.Buffer
	w, err := dump.NewWriter(&file, dump.Header{Bucket: 1, MaxVersions: 255, Rollover: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, value := range []string{"one", "two"} {
		err := w.Write(&dump.Version{
			Key: []byte("k"), Value: []byte(value), Number: i + 1, Latest: i == 1, Timestamp: hlc.Timestamp{WallNanos: int64(i + 1)},
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	r, err := dump.NewReader(&file)
	for err == nil {
		var v *dump.Version
		if v, err = r.Next(); err == nil {
			fmt.Printf("%s %d %s\n", v.Key, v.Number, v.Value)
		}
	}
	fmt.Println(err == io.EOF)
	// Output:
	// k 1 one
	// k 2 two
	// true
}
