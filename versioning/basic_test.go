package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestPutGetHistoryScanDelete(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, nil)
	b := r.bucket(1)
	for i := 1; i <= 3; i++ {
		res, err := b.Put(ctx, []byte("k"), fmt.Appendf(nil, "v%d", i), nil)
		if err != nil || res.Version != i {
			t.Fatal(res, err)
		}
	}
	v, err := b.Get(ctx, []byte("k"))
	if err != nil || string(v.Data) != "v3" {
		t.Fatal(v, err)
	}
	for i := 1; i <= 3; i++ {
		v, err := b.GetVersion(ctx, []byte("k"), i)
		if err != nil || string(v.Data) != fmt.Sprintf("v%d", i) || v.Version != i {
			t.Fatal(v, err)
		}
	}
	n := 3
	for v, err := range b.History(ctx, []byte("k"), &versioning.HistoryOptions{Values: true}) {
		if err != nil || v.Version != n || string(v.Data) != fmt.Sprintf("v%d", n) {
			t.Fatal(v, err)
		}
		n--
	}
	if n != 0 {
		t.Fatal(n)
	}
	n = 0
	for e, err := range b.Scan(ctx, &versioning.ScanOptions{Values: true}) {
		if err != nil || string(e.Key) != "k" || string(e.Value.Data) != "v3" {
			t.Fatal(e, err)
		}
		n++
	}
	if n != 1 {
		t.Fatal(n)
	}
	if _, err := b.Delete(ctx, []byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(ctx, []byte("k")); !errors.Is(err, versioning.ErrNotFound) || !errors.Is(err, base.ErrNotFound) {
		t.Fatal(err)
	}
}
