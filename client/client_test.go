package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/keys"
)

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestKeys(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx, b, key := t.Context(), c.Bucket(""), []byte("maia")

	first := must[client.WriteResult](t)(b.Put(ctx, key, []byte("white"), nil))
	second := must[client.WriteResult](t)(b.Put(ctx, key, []byte("blue"), &client.PutOptions{IfVersion: 1, IfRevision: &first.Revision}))
	if first.Version != 1 || second.Version != 2 || !first.Revision.Less(second.Revision) {
		t.Fatalf("puts made %+v and %+v", first, second)
	}
	if v := must[client.Value](t)(b.Get(ctx, key)); string(v.Data) != "blue" || v.Size != 4 {
		t.Errorf("get: %+v", v)
	}
	if v := must[client.Value](t)(b.GetVersion(ctx, key, 1)); string(v.Data) != "white" || v.Version != 1 || v.Revision != second.Revision {
		t.Errorf("get version 1: %+v", v)
	}
	if v := must[client.Value](t)(b.GetVersion(ctx, key, client.Latest)); string(v.Data) != "blue" || v.Version != 2 {
		t.Errorf("get the latest version: %+v", v)
	}
	if v := must[client.Value](t)(b.GetAt(ctx, key, first.Revision)); string(v.Data) != "white" {
		t.Errorf("get at %v: %+v", first.Revision, v)
	}
	if v := must[client.Value](t)(b.Stat(ctx, key)); v.Data != nil || v.Size != 4 || v.Version != 2 {
		t.Errorf("stat: %+v", v)
	}
	must[client.WriteResult](t)(b.SetVacuumable(ctx, key, true, nil))
	if d := must[client.Descriptor](t)(b.Describe(ctx, key)); d.Versions != 2 || d.Oldest != 1 || !d.Vacuumable || d.LatestBytes != 4 || d.WrittenBytes != 9 {
		t.Errorf("describe: %+v", d)
	}
	var colours []string
	for v, err := range b.History(ctx, key, &client.HistoryOptions{OldestFirst: true, Values: true}) {
		if err != nil {
			t.Fatal(err)
		}
		colours = append(colours, string(v.Data))
	}
	if !slices.Equal(colours, []string{"white", "blue"}) {
		t.Errorf("history: %q", colours)
	}
	must[client.WriteResult](t)(b.Delete(ctx, key, nil))
	if _, err := b.Get(ctx, key); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("get of a deleted key: %v", err)
	}
	must[client.WriteResult](t)(b.Purge(ctx, key, nil))
	if _, err := b.Describe(ctx, key); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("describe of a purged key: %v", err)
	}
	if m := c.Metrics(); m.Sessions != 1 || m.Connections != 1 || m.Retries != 0 || m.InFlight != 0 {
		t.Errorf("metrics: %+v", m)
	}
}

func TestLargeValues(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	b, ctx := c.Bucket(""), t.Context()
	for _, size := range []int{0, 1, 64<<10 - 100, 64 << 10, 1 << 20, 16 << 20} {
		value := bytes.Repeat([]byte{7, 0, 255}, size/3+1)[:size]
		key := fmt.Appendf(nil, "size/%d", size)
		must[client.WriteResult](t)(b.Put(ctx, key, value, nil))
		if v := must[client.Value](t)(b.Get(ctx, key)); !bytes.Equal(v.Data, value) {
			t.Errorf("%d bytes came back as %d others", size, len(v.Data))
		}
	}
	n := 0
	for e, err := range b.Scan(ctx, &client.ScanOptions{Values: true}) {
		if err != nil || len(e.Value.Data) != e.Value.Size {
			t.Fatalf("scan at %s: %d bytes, %v", e.Key, len(e.Value.Data), err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("a scan with large values found %d keys", n)
	}
	if _, err := b.Put(ctx, []byte("k"), make([]byte, 16<<20+1), nil); !errors.Is(err, client.ErrValueTooLarge) {
		t.Errorf("a value that is too large: %v", err)
	}
}

func TestErrorsMatchAcrossTheWire(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx, b := t.Context(), c.Bucket("")
	must[client.WriteResult](t)(b.Put(ctx, []byte("k"), []byte("v"), nil))
	must[client.BucketInfo](t)(c.CreateBucket(ctx, "full", &client.BucketSettings{MaxVersions: 1, Rollover: client.Refuse}))
	must[client.WriteResult](t)(c.Bucket("full").Put(ctx, []byte("k"), []byte("v"), nil))
	last := func(seq func(func(client.Entry, error) bool)) (err error) {
		for _, err = range seq {
		}
		return err
	}
	wrong, zero, sum := hlc.Timestamp{WallNanos: 1}, hlc.Timestamp{}, uint32(1)
	for name, row := range map[string]struct {
		do   func() error
		want error
	}{
		"empty key":     {func() error { _, err := b.Get(ctx, nil); return err }, keys.ErrEmptyKey},
		"long key":      {func() error { _, err := b.Put(ctx, make([]byte, keys.MaxKeyBytes+1), nil, nil); return err }, keys.ErrKeyTooLong},
		"no key":        {func() error { _, err := b.Get(ctx, []byte("none")); return err }, client.ErrNotFound},
		"no version":    {func() error { _, err := b.GetVersion(ctx, []byte("k"), 9); return err }, client.ErrNotFound},
		"wrong version": {func() error { _, err := b.GetVersion(ctx, []byte("k"), 256); return err }, client.ErrInvalidVersion},
		"wrong revision": {func() error {
			_, err := b.Put(ctx, []byte("k"), nil, &client.PutOptions{IfRevision: &wrong})
			return err
		}, client.ErrRevisionMismatch},
		"zero revision": {func() error {
			_, err := b.Put(ctx, []byte("k"), nil, &client.PutOptions{IfRevision: &zero})
			return err
		}, client.ErrRevisionMismatch},
		"if version":        {func() error { _, err := b.Put(ctx, []byte("k"), nil, &client.PutOptions{IfVersion: 7}); return err }, client.ErrRevisionMismatch},
		"if absent":         {func() error { _, err := b.Put(ctx, []byte("k"), nil, &client.PutOptions{IfAbsent: true}); return err }, client.ErrExists},
		"checksum":          {func() error { _, err := b.Put(ctx, []byte("k"), nil, &client.PutOptions{Checksum: &sum}); return err }, client.ErrChecksumMismatch},
		"refused rollover":  {func() error { _, err := c.Bucket("full").Put(ctx, []byte("k"), nil, nil); return err }, client.ErrVersionsExhausted},
		"delete nothing":    {func() error { _, err := b.Delete(ctx, []byte("none"), nil); return err }, client.ErrNotFound},
		"no bucket":         {func() error { _, err := c.Bucket("none").Get(ctx, []byte("k")); return err }, client.ErrBucketNotFound},
		"no bucket by id":   {func() error { _, err := c.BucketByID(99).Get(ctx, []byte("k")); return err }, client.ErrBucketNotFound},
		"scan of no bucket": {func() error { return last(c.BucketByID(99).Scan(ctx, nil)) }, client.ErrBucketNotFound},
		"no account":        {func() error { _, err := c.Account(ctx, "none"); return err }, client.ErrAccountNotFound},
		"bucket exists":     {func() error { _, err := c.CreateBucket(ctx, "full", nil); return err }, client.ErrBucketExists},
		"bad name":          {func() error { _, err := c.CreateBucket(ctx, "-x", nil); return err }, client.ErrInvalidName},
		"reserved":          {func() error { _, err := c.DeleteBucket(ctx, "default", nil); return err }, client.ErrReserved},
		"not empty": {func() error {
			_, err := c.DeleteBucket(ctx, "full", &client.RemoveOptions{OnlyEmpty: true})
			return err
		}, client.ErrNotEmpty},
		"bad token": {func() error {
			return last(b.Scan(ctx, &client.ScanOptions{Resume: []byte("\x01nonsense, but long enough to be one")}))
		}, client.ErrBadToken},
		"marker": {func() error { _, err := b.Get(ctx, []byte("none")); return err }, base.ErrNotFound},
	} {
		if err := row.do(); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	if m := c.Metrics(); m.Retries != 0 || m.Connections != 1 {
		t.Errorf("answers were taken for failures: %+v", m)
	}
}

func TestBatches(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx, b := t.Context(), c.Bucket("")
	must[client.BucketInfo](t)(c.CreateBucket(ctx, "other", nil))
	batch := c.NewBatch()
	for i, in := range []*client.Bucket{b, b, c.Bucket("other")} {
		if err := batch.Put(in, []byte("k"), fmt.Appendf(nil, "%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	results := must[[]client.WriteResult](t)(batch.Commit(ctx))
	if len(results) != 3 || results[0].Version != 1 || results[1].Version != 2 || results[2].Version != 1 {
		t.Fatalf("results: %+v", results)
	}
	batch = c.NewBatch()
	if err := errors.Join(batch.Put(b, []byte("new"), nil, nil), batch.Delete(b, []byte("none"), nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Commit(ctx); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a batch with a refused operation: %v", err)
	}
	if _, err := b.Describe(ctx, []byte("new")); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("half a batch was written: %v", err)
	}
	if err := batch.Put(b, nil, nil, nil); !errors.Is(err, keys.ErrEmptyKey) || batch.Len() != 2 {
		t.Errorf("adding an impossible key: %v, %d operations", err, batch.Len())
	}
}

func TestAccountsAndBuckets(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx := t.Context()
	a := must[client.Account](t)(c.CreateAccount(ctx, "maia", &client.AccountOptions{Limits: client.Limits{MaxBuckets: 2}}))
	if a.Name != "maia" || a.State != client.StateActive || a.Limits.MaxBuckets != 2 {
		t.Errorf("created %+v", a)
	}
	limit := uint64(2)
	made := must[client.BucketInfo](t)(c.CreateBucket(ctx, "maia/stars", &client.BucketSettings{MaxVersions: 3, MaxKeys: &limit}))
	if made.Account != "maia" || made.Settings.MaxVersions != 3 || made.Settings.MaxKeys == nil {
		t.Errorf("created %+v", made)
	}
	b := c.Bucket("maia/stars")
	for i := range 3 {
		_, err := b.Put(ctx, fmt.Appendf(nil, "%d", i), []byte("v"), nil)
		if i < 2 && err != nil || i == 2 && !errors.Is(err, client.ErrQuota) {
			t.Errorf("put %d: %v", i, err)
		}
	}
	none := uint64(0)
	must[client.BucketInfo](t)(c.SetBucket(ctx, "maia/stars", client.BucketSettings{MaxKeys: &none}))
	must[client.WriteResult](t)(b.Put(ctx, []byte("2"), []byte("v"), nil))
	if info := must[client.BucketInfo](t)(b.Info(ctx)); info.Usage.Keys != 3 || info.Settings.MaxVersions != 3 || info.Settings.MaxKeys != nil {
		t.Errorf("info: %+v", info)
	}
	owner := "somebody"
	if got := must[client.Account](t)(c.SetAccount(ctx, "maia", client.AccountChange{Owner: &owner})); got.Owner != owner || got.Limits.MaxBuckets != 2 {
		t.Errorf("changed: %+v", got)
	}
	if _, err := c.CreateBucket(ctx, "maia/more", nil); !errors.Is(err, client.ErrNotOwner) {
		t.Errorf("creating in somebody else's account: %v", err)
	}
	var names []string
	for a, err := range c.Accounts(ctx) {
		names = append(names, a.Name)
		if err != nil {
			t.Fatal(err)
		}
	}
	for b, err := range c.Buckets(ctx, "") {
		names = append(names, b.Account+"/"+b.Name)
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"default", "maia", "default/default", "maia/stars"}; !slices.Equal(names, want) {
		t.Errorf("lists: %q, want %q", names, want)
	}
}

func TestABucketThatIsMadeAgainIsFound(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx := t.Context()
	must[client.BucketInfo](t)(c.CreateBucket(ctx, "b", nil))
	b := c.Bucket("b")
	for i := range 1000 {
		must[client.WriteResult](t)(b.Put(ctx, fmt.Appendf(nil, "%d", i), []byte("v"), nil))
	}
	if gone := must[client.Removal](t)(c.DeleteBucket(ctx, "b", nil)); gone.Keys != 1000 {
		t.Errorf("removed %+v", gone)
	}
	if _, err := b.Get(ctx, []byte("1")); !errors.Is(err, client.ErrBucketNotFound) {
		t.Errorf("get in a removed bucket: %v", err)
	}
	must[client.BucketInfo](t)(c.CreateBucket(ctx, "b", nil))
	if _, err := b.Get(ctx, []byte("1")); !errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrBucketNotFound) {
		t.Errorf("get in the new bucket: %v", err)
	}
}

func TestVacuumSystemAndPing(t *testing.T) {
	c := open(t, nodetest.Start(t, nil), nil)
	ctx, b := t.Context(), c.Bucket("")
	for i := range 10 {
		must[client.WriteResult](t)(b.Put(ctx, []byte("k"), fmt.Appendf(nil, "%d", i), nil))
	}
	if r := must[client.VacuumReport](t)(b.Vacuum(ctx, client.VacuumOptions{AllKeys: true, KeepNewest: 3})); r.Versions != 7 || !r.Done {
		t.Errorf("vacuum: %+v", r)
	}
	if _, err := b.Vacuum(ctx, client.VacuumOptions{AllKeys: true}); !errors.Is(err, base.ErrInvalid) {
		t.Errorf("vacuum of everything: %v", err)
	}
	n := 0
	for m, err := range c.System().Contexts(ctx) {
		if err != nil || m.Peer == "" {
			t.Fatalf("contexts: %v, %v", m, err)
		}
		n++
	}
	if n < 2 {
		t.Errorf("%d contexts", n)
	}
	p := must[*client.Ping](t)(c.NewPing(ctx))
	defer p.Close()
	for range 3 {
		if took := must[time.Duration](t)(p.Send(ctx)); took <= 0 || took > time.Minute {
			t.Errorf("ping took %v", took)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := client.Open(ctx, []string{"127.0.0.1:1"}, &client.Options{MaxInFlight: -1, DialTimeout: -1}); !errors.Is(err, client.ErrOptions) {
		t.Errorf("impossible options: %v", err)
	}
	n := nodetest.Start(t, nil)
	if _, err := client.Open(ctx, nil, &client.Options{Certs: n.Certs()}); !errors.Is(err, client.ErrOptions) {
		t.Errorf("no address: %v", err)
	}
	_, err := client.Open(ctx, []string{"127.0.0.1:9", "127.0.0.1:10"}, &client.Options{Certs: n.Certs(), DialTimeout: 300 * time.Millisecond})
	if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	stranger := nodetest.Start(t, nil)
	if _, err := client.Open(ctx, []string{n.Addr()}, &client.Options{Certs: stranger.Certs()}); !errors.Is(err, base.ErrPermission) {
		t.Errorf("certificates of somebody else: %v", err)
	}
	c := open(t, n, nil)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Bucket("").Get(ctx, []byte("k")); !errors.Is(err, client.ErrClosed) {
		t.Errorf("get on a closed client: %v", err)
	}
}
