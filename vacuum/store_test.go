package vacuum_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// tableBytes is the size of all table files in a directory.
func (r *rig) tableBytes() (size int64) {
	r.tb.Helper()
	r.must(filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".sst") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}))
	return size
}

// TestSpaceIsReclaimed compares the table files before and after, on a closed store.
func TestSpaceIsReclaimed(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 4096) // random, so that compression does not help
	for range 10 {
		for k := range 300 {
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			_, err := b.Put(ctx, fmt.Appendf(nil, "k%03d", k), value, &versioning.PutOptions{NoSync: true})
			r.must(err)
		}
	}
	r.must(r.store.Shard().Flush(ctx))
	r.close()
	before := r.tableBytes()
	r.open()
	b = r.bucket(1)
	report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, nil)
	r.must(err)
	r.close()
	after := r.tableBytes()
	r.open()
	const garbage = 300 * 9 * 4096
	if before < garbage || before-after < garbage {
		t.Errorf("table files: %d bytes before, %d after; %d were garbage", before, after, garbage)
	}
	if !report.Compacted || report.Bytes < garbage || report.DiskBefore < garbage || report.DiskBefore-report.DiskAfter < garbage {
		t.Errorf("%+v", report)
	}
	t.Logf("table files: %d bytes before, %d after; %v", before, after, report)
}

func TestCompactionIsUpToTheOption(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	value := make([]byte, 1<<10)
	for i, c := range []struct {
		compact  vacuum.Compact
		versions int // of one of a hundred keys
		want     bool
	}{
		{vacuum.CompactAuto, 3, false}, // 2 of 102 versions go
		{vacuum.CompactAuto, 31, true},
		{vacuum.CompactAlways, 2, true},
		{vacuum.CompactAlways, 1, false}, // nothing goes
		{vacuum.CompactNever, 31, false},
	} {
		b := r.bucket(keys.BucketID(i + 1))
		for k := range 100 {
			versions := 1
			if k == 50 {
				versions = c.versions
			}
			for range versions {
				rand.NewChaCha8([32]byte{byte(k)}).Read(value)
				_, err := b.Put(ctx, fmt.Appendf(nil, "k%02d", k), value, &versioning.PutOptions{NoSync: true})
				r.must(err)
			}
		}
		r.must(r.store.Shard().Flush(ctx))
		report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{Compact: c.compact})
		r.must(err)
		if report.Compacted != c.want {
			t.Errorf("%d: %+v", i, report)
		}
	}
}

// TestWritersMeanwhile vacuums all the time while writers put and delete: no acknowledged latest value
// is lost, no writer fails, no number has another's bytes, and the store stays consistent.
func TestWritersMeanwhile(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.must(b.SetSettings(ctx, versioning.Settings{MaxVersions: 20, Rollover: versioning.Relabel}))
	const writers, keysEach, writes = 4, 5, 600
	stop := make(chan struct{})
	var writing, vacuuming sync.WaitGroup
	var total vacuum.Report
	once := func() {
		report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 3, Deleted: true},
			&vacuum.Options{BatchKeys: 8, Compact: vacuum.CompactNever})
		if err != nil {
			t.Error(err)
		}
		total.Versions += report.Versions
		total.Purged += report.Purged
		total.Skipped += report.Skipped
	}
	vacuuming.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				once()
			}
		}
	})
	last := make([]map[string]string, writers)
	for w := range writers {
		last[w] = map[string]string{}
		writing.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range writes {
				key := fmt.Sprintf("w%d-%d", w, rng.IntN(keysEach))
				if i < keysEach { // whatever comes, one key of each writer ends deleted
					key = fmt.Sprintf("w%d-deleted", w)
				}
				if i == keysEach-1 || rng.IntN(10) == 0 {
					_, err := b.Delete(ctx, []byte(key), &versioning.WriteOptions{NoSync: true})
					if err != nil && (last[w][key] != "" || !errors.Is(err, versioning.ErrNotFound)) {
						t.Errorf("delete %s: %v", key, err)
						return
					}
					last[w][key] = ""
					continue
				}
				value := fmt.Sprintf("%s %d", key, i)
				if _, err := b.Put(ctx, []byte(key), []byte(value), &versioning.PutOptions{NoSync: true}); err != nil {
					t.Errorf("put %s: %v", key, err)
					return
				}
				last[w][key] = value
				if got, err := b.Get(ctx, []byte(key)); err != nil || string(got.Data) != value {
					t.Errorf("get %s: %q, %v, want %q", key, got.Data, err, value)
					return
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	vacuuming.Wait()
	once()
	for w := range writers {
		for key, want := range last[w] {
			got, err := b.Get(ctx, []byte(key))
			if want == "" && !errors.Is(err, versioning.ErrNotFound) || want != "" && (err != nil || string(got.Data) != want) {
				t.Errorf("%s: %q, %v, want %q", key, got.Data, err, want)
			}
		}
	}
	for key, st := range r.state(b) {
		for _, v := range st.versions {
			if !v.Tombstone && !strings.HasPrefix(string(v.Data), key+" ") {
				t.Errorf("key %s version %d holds %q", key, v.Version, v.Data)
			}
		}
	}
	r.check()
	if total.Versions < 20 || total.Purged < writers {
		t.Errorf("vacuum did too little for this test to mean anything: %+v", total)
	}
	t.Logf("removed %d versions and %d keys, skipped %d", total.Versions, total.Purged, total.Skipped)
}

func TestPlanSteps(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.must(b.SetSettings(ctx, versioning.Settings{MaxVersions: 255, Rollover: versioning.Relabel}))
	r.put(b, "deleted", 1, 2, versioning.PutOptions{})
	_, err := b.Delete(ctx, []byte("deleted"), nil)
	r.must(err)
	r.put(b, "expired", 1, 2, versioning.PutOptions{ExpireAt: epoch})
	r.put(b, "marked", 1, 9, versioning.PutOptions{Vacuumable: ptr(true)})
	r.put(b, "unmarked", 1, 9, versioning.PutOptions{})
	r.must(b.SetSettings(ctx, versioning.Settings{MaxVersions: 8, Rollover: versioning.Relabel}))
	var got []string
	for s, err := range vacuum.Plan(ctx, b, vacuum.Policy{KeepNewest: 4, Deleted: true, Expired: true}, nil) {
		r.must(err)
		d, err := b.Describe(ctx, s.Op.Key)
		r.must(err)
		if *s.Op.IfRevision != d.Revision || s.Op.Bucket != 1 {
			t.Errorf("%s: %+v at revision %v", s.Op.Key, s.Op, d.Revision)
		}
		got = append(got, fmt.Sprintf("%s: %v, %v below %d: %d", s.Op.Key, s.Reason, s.Op.Kind, s.Op.Oldest, s.Versions))
	}
	want := []string{
		"deleted: deleted, purge below 0: 3",
		"expired: expired, purge below 0: 2",
		"marked: retention, drop versions below 6: 5",
		"unmarked: max-versions, drop versions below 2: 1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for range vacuum.Plan(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, nil) {
		break // leaving early is fine
	}
}

func BenchmarkRun(b *testing.B) {
	for _, versions := range []int{2, 20} {
		b.Run(fmt.Sprintf("keys=1000/versions=%d", versions), func(b *testing.B) {
			r := newRig(b)
			ctx := context.Background()
			id := keys.BucketID(0)
			removed := int64(0)
			for b.Loop() {
				b.StopTimer()
				id++
				bucket := r.bucket(id)
				for k := range 1000 {
					for range versions {
						_, err := bucket.Put(ctx, fmt.Appendf(nil, "k%04d", k), make([]byte, 100), &versioning.PutOptions{NoSync: true})
						r.must(err)
					}
				}
				b.StartTimer()
				report, err := vacuum.Run(ctx, bucket, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{Compact: vacuum.CompactNever})
				r.must(err)
				removed += report.Versions
			}
			b.ReportMetric(float64(removed)/b.Elapsed().Seconds(), "versions/s")
		})
	}
}
