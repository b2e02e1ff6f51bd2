package vacuum_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// executorFunc is an Executor made of a function.
type executorFunc func(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error)

func (f executorFunc) Execute(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
	return f(ctx, ops)
}

// numbers returns the version numbers that each key has left.
func (r *rig) numbers(b *versioning.Bucket) map[string]string {
	r.tb.Helper()
	out := map[string]string{}
	for key, st := range r.state(b) {
		var n []string
		for _, v := range st.versions {
			n = append(n, fmt.Sprint(v.Version))
		}
		out[key] = strings.Join(n, " ")
	}
	return out
}

func (r *rig) want(b *versioning.Bucket, want map[string]string) {
	r.tb.Helper()
	if got := r.numbers(b); !maps.Equal(got, want) {
		r.tb.Errorf("versions left: %v, want %v", got, want)
	}
}

func TestTheMarkPermits(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "marked", 1, 5, versioning.PutOptions{Vacuumable: ptr(true)})
	r.put(b, "unmarked", 1, 5, versioning.PutOptions{})
	report, err := vacuum.Run(ctx, b, vacuum.Policy{KeepNewest: 2}, nil)
	r.must(err)
	r.want(b, map[string]string{"marked": "4 5", "unmarked": "1 2 3 4 5"})
	if report.Keys != 2 || report.Trimmed != 1 || report.Versions != 3 || report.Phase != vacuum.PhaseDone {
		t.Errorf("%+v", report)
	}
	_, err = vacuum.Run(ctx, b, vacuum.Policy{}, nil)
	r.must(err)
	r.want(b, map[string]string{"marked": "5", "unmarked": "1 2 3 4 5"})
	_, err = vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 3}, nil)
	r.must(err)
	r.want(b, map[string]string{"marked": "5", "unmarked": "3 4 5"})
}

// TestReadsWithinTheAgeGoOnWorking holds what KeepNewerThan promises: the version that was the latest
// at its beginning stays.
func TestReadsWithinTheAgeGoOnWorking(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "k", 1, 10, versioning.PutOptions{}) // version n at second n-1; now is second 10
	now, err := r.clock.Now()
	r.must(err)
	window := 3500 * time.Millisecond // since second 6.5, when version 7 was the latest
	since := now
	since.WallNanos -= int64(window)
	_, err = vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewerThan: window}, &vacuum.Options{Now: now})
	r.must(err)
	r.want(b, map[string]string{"k": "7 8 9 10"})
	if v, err := b.GetAt(ctx, []byte("k"), since); err != nil || v.Version != 7 {
		t.Errorf("at the beginning of the window: %+v, %v", v, err)
	}
}

func TestLoweredMaxVersionsIsEnforced(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "k", 1, 100, versioning.PutOptions{})
	r.must(b.SetSettings(ctx, versioning.Settings{MaxVersions: 3, Rollover: versioning.Relabel}))
	var reasons []vacuum.Reason
	for step, err := range vacuum.Plan(ctx, b, vacuum.Policy{}, nil) {
		r.must(err)
		reasons = append(reasons, step.Reason)
	}
	if !slices.Equal(reasons, []vacuum.Reason{vacuum.ReasonMaxVersions}) {
		t.Errorf("reasons %v", reasons)
	}
	_, err := vacuum.Run(ctx, b, vacuum.Policy{}, nil)
	r.must(err)
	r.want(b, map[string]string{"k": "98 99 100"})
	r.put(b, "k", 101, 101, versioning.PutOptions{})
	r.want(b, map[string]string{"k": "1 2 3"})
}

func TestDeadKeysGoAsAWhole(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "live", 1, 2, versioning.PutOptions{})
	r.put(b, "deleted", 1, 3, versioning.PutOptions{})
	r.put(b, "expired", 1, 4, versioning.PutOptions{ExpireAt: epoch.Add(time.Minute)})
	r.put(b, "expires later", 1, 1, versioning.PutOptions{ExpireAt: epoch.Add(time.Hour)})
	_, err := b.Delete(ctx, []byte("deleted"), nil)
	r.must(err)
	r.wall.Advance(2 * time.Minute)

	all := vacuum.Policy{Deleted: true, Expired: true}
	held := all
	held.KeepNewerThan = 10 * time.Minute
	report, err := vacuum.Run(ctx, b, held, nil)
	r.must(err)
	if report.Versions != 0 {
		t.Errorf("keys that died within KeepNewerThan: %+v", report)
	}
	report, err = vacuum.Run(ctx, b, vacuum.Policy{Expired: true}, &vacuum.Options{DryRun: true})
	r.must(err)
	if report.Purged != 1 || report.Versions != 4 {
		t.Errorf("%+v", report)
	}
	report, err = vacuum.Run(ctx, b, all, nil)
	r.must(err)
	if report.Purged != 2 || report.Versions != 8 || report.Trimmed != 0 {
		t.Errorf("%+v", report)
	}
	r.want(b, map[string]string{"live": "1 2", "expires later": "1"})
}

func TestBoundsAndResume(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	policy := vacuum.Policy{AllKeys: true, KeepNewest: 1}
	names := []string{"a", "b", "ba", "bb", "c", "\xff", "\xff\xff"}
	for i, c := range []struct {
		opts vacuum.Options
		want string
	}{
		{vacuum.Options{}, `a b ba bb c \xff \xff\xff`},
		{vacuum.Options{Start: []byte("b"), End: []byte("bb")}, "b ba"},
		{vacuum.Options{Prefix: []byte("b")}, "b ba bb"},
		{vacuum.Options{Prefix: []byte("b"), Start: []byte("b\x00"), End: []byte("bb")}, "ba"},
		{vacuum.Options{Prefix: []byte("b"), End: []byte("a")}, ""},
		{vacuum.Options{Prefix: []byte("\xff")}, `\xff \xff\xff`},
		{vacuum.Options{End: []byte{}}, ""},
	} {
		b := r.bucket(keys.BucketID(i + 1))
		for _, name := range names {
			r.put(b, name, 1, 2, versioning.PutOptions{})
		}
		report, err := vacuum.Run(ctx, b, policy, &c.opts)
		r.must(err)
		var changed []string
		left := r.numbers(b)
		for _, name := range names {
			if left[name] == "2" {
				quoted := fmt.Sprintf("%q", name)
				changed = append(changed, quoted[1:len(quoted)-1])
			}
		}
		if got := strings.Join(changed, " "); got != c.want || report.Keys != int64(len(changed)) || report.Next != nil {
			t.Errorf("%d: changed %q, want %q: %+v", i, got, c.want, report)
		}
	}
}

// TestCancelAnywhereAndResume cancels a run before each of its batches in turn: the report is exact,
// the store consistent, and runs that go on at Next do all of the work once.
func TestCancelAnywhereAndResume(t *testing.T) {
	r := newRig(t)
	policy := vacuum.Policy{AllKeys: true, KeepNewest: 1, Deleted: true}
	const n = 12
	for stop := range n + 1 {
		b := r.bucket(keys.BucketID(stop + 1))
		for k := range n {
			r.put(b, fmt.Sprintf("k%02d", k), 1, 4, versioning.PutOptions{})
		}
		_, err := b.Delete(context.Background(), []byte("k03"), nil)
		r.must(err)
		before, _ := r.stored(b)

		ctx, cancel := context.WithCancel(context.Background())
		batches := 0
		executor := vacuum.NewStoreExecutor(r.store)
		opts := &vacuum.Options{BatchKeys: 1, Executor: executorFunc(func(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
			if batches == stop {
				cancel()
			}
			batches++
			return executor.Execute(ctx, ops)
		})}
		first, err := vacuum.Run(ctx, b, policy, opts)
		cancel()
		if stop < n && !errors.Is(err, context.Canceled) || stop == n && err != nil {
			t.Fatalf("stop %d: %v", stop, err)
		}
		left, _ := r.stored(b)
		if before-left != first.Versions || first.Trimmed+first.Purged != int64(stop) {
			t.Fatalf("stop %d: %d versions are gone: %+v", stop, before-left, first)
		}
		if stop == n {
			continue
		}
		if want := fmt.Sprintf("k%02d", stop); string(first.Next) != want {
			t.Fatalf("stop %d: goes on at %q", stop, first.Next)
		}
		rest, err := vacuum.Run(context.Background(), b, policy, &vacuum.Options{Start: first.Next})
		r.must(err)
		left, _ = r.stored(b)
		if left != n-1 || first.Versions+rest.Versions != before-left || rest.Keys != int64(n-stop) {
			t.Fatalf("stop %d: %d left; %+v, then %+v", stop, left, first, rest)
		}
	}
}

// TestCancelBetweenBatches cancels when a batch has been reported: the next one has not begun.
func TestCancelBetweenBatches(t *testing.T) {
	r := newRig(t)
	b := r.bucket(1)
	for k := range 10 {
		r.put(b, fmt.Sprint("k", k), 1, 2, versioning.PutOptions{Vacuumable: ptr(true)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	report, err := vacuum.Run(ctx, b, vacuum.Policy{}, &vacuum.Options{
		BatchKeys: 3, Progress: func(r vacuum.Report) {
			if r.Trimmed == 6 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || report.Trimmed != 6 || string(report.Next) != "k6" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestCancelledBeforeTheBeginning(t *testing.T) {
	r := newRig(t)
	b := r.bucket(1)
	r.put(b, "k", 1, 3, versioning.PutOptions{Vacuumable: ptr(true)})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	report, err := vacuum.Run(ctx, b, vacuum.Policy{}, nil)
	if !errors.Is(err, context.Canceled) || report.Next == nil || len(report.Next) != 0 || report.Versions != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	for _, err := range vacuum.Plan(ctx, b, vacuum.Policy{}, nil) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("plan: %v", err)
		}
	}
}

// TestKeysThatChangedAreSkipped writes to keys between judgement and execution, many enough that the
// executor gives up on whole batches.
func TestKeysThatChangedAreSkipped(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	want := map[string]string{}
	for k := range 40 {
		r.put(b, fmt.Sprintf("k%02d", k), 1, 3, versioning.PutOptions{})
		want[fmt.Sprintf("k%02d", k)] = "3"
	}
	executor := vacuum.NewStoreExecutor(r.store)
	report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{
		Executor: executorFunc(func(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
			for k := 0; k < 40; k += 2 { // twenty conflicts
				r.put(b, fmt.Sprintf("k%02d", k), 4, 4, versioning.PutOptions{})
				want[fmt.Sprintf("k%02d", k)] = "1 2 3 4"
			}
			_, err := b.Purge(ctx, []byte("k01"), nil)
			delete(want, "k01")
			r.must(err)
			return executor.Execute(ctx, ops)
		}),
	})
	r.must(err)
	if report.Skipped != 21 || report.Trimmed != 19 || report.Versions != 38 {
		t.Errorf("%+v", report)
	}
	r.want(b, want)
}

// TestTwoVacuumsAtOnce lets another vacuum do part of the work between judgement and execution: what
// is reported is what each of them did.
func TestTwoVacuumsAtOnce(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "k", 1, 10, versioning.PutOptions{})
	r.put(b, "l", 1, 10, versioning.PutOptions{})
	executor := vacuum.NewStoreExecutor(r.store)
	report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{
		Executor: executorFunc(func(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
			_, err := b.DropVersions(ctx, []byte("k"), 5, nil)
			r.must(err)
			_, err = b.DropVersions(ctx, []byte("l"), 10, nil)
			r.must(err)
			return executor.Execute(ctx, ops)
		}),
	})
	r.must(err)
	// The bytes of k's other versions are not known to be this run's.
	if report.Versions != 5 || report.Trimmed != 1 || report.Skipped != 0 || report.Bytes != 0 {
		t.Errorf("%+v", report)
	}
	r.want(b, map[string]string{"k": "10", "l": "10"})
}

func TestOverloadIsRetried(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	r.put(b, "a", 1, 3, versioning.PutOptions{})
	r.put(b, "b", 1, 3, versioning.PutOptions{})
	executor := vacuum.NewStoreExecutor(r.store)
	calls := 0
	opts := &vacuum.Options{
		Wall: r.wall.Now, Wait: r.advance,
		Executor: executorFunc(func(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
			calls++
			switch calls {
			case 1:
				return nil, base.ErrOverloaded
			case 2: // one of two got through
				out, err := executor.Execute(ctx, ops[:1])
				return append(out, vacuum.Outcome{}), errors.Join(err, base.ErrOverloaded)
			default:
				return executor.Execute(ctx, ops)
			}
		}),
	}
	report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, opts)
	r.must(err)
	if calls != 3 || report.Versions != 4 || report.Trimmed != 2 || report.Yields != 2 || report.Waited != 150*time.Millisecond {
		t.Errorf("after %d calls: %+v", calls, report)
	}

	r.put(b, "a", 4, 4, versioning.PutOptions{})
	opts.Executor = executorFunc(func(context.Context, []versioning.Op) ([]vacuum.Outcome, error) { return nil, base.ErrOverloaded })
	report, err = vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, opts)
	if !errors.Is(err, base.ErrOverloaded) || string(report.Next) != "a" {
		t.Errorf("an executor that never recovers: %+v, %v", report, err)
	}
}

func TestBrokenExecutors(t *testing.T) {
	r := newRig(t)
	b := r.bucket(1)
	r.put(b, "a", 1, 3, versioning.PutOptions{})
	for name, outcomes := range map[string][]vacuum.Outcome{"none": {}, "too many": make([]vacuum.Outcome, 2), "pending": {{}}} {
		_, err := vacuum.Run(context.Background(), b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{
			Executor: executorFunc(func(context.Context, []versioning.Op) ([]vacuum.Outcome, error) { return outcomes, nil }),
		})
		if err == nil || !strings.Contains(err.Error(), "executor") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvalidPoliciesAndOptions(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	for _, p := range []vacuum.Policy{
		{AllKeys: true}, {KeepNewest: -1}, {KeepNewest: 256}, {KeepNewerThan: -1}, {AllKeys: true, Deleted: true, Expired: true},
	} {
		if _, err := vacuum.Run(ctx, b, p, nil); !errors.Is(err, vacuum.ErrInvalidPolicy) || !errors.Is(err, base.ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
		for _, err := range vacuum.Plan(ctx, b, p, nil) {
			if !errors.Is(err, vacuum.ErrInvalidPolicy) {
				t.Errorf("plan %+v: %v", p, err)
			}
		}
	}
	_, err := vacuum.Run(ctx, b, vacuum.Policy{}, &vacuum.Options{
		BatchKeys: 4097, KeysPerSecond: -1, BytesPerSecond: -2, Compact: 3,
	})
	if !errors.Is(err, vacuum.ErrInvalidOptions) {
		t.Fatal(err)
	}
	for _, fault := range []string{"BatchKeys 4097", "KeysPerSecond -1", "BytesPerSecond -2", "Compact 3"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q does not name %q", err, fault)
		}
	}
	if _, err := vacuum.Run(ctx, nil, vacuum.Policy{}, nil); !errors.Is(err, vacuum.ErrInvalidOptions) {
		t.Errorf("no bucket: %v", err)
	}
}

func TestDamageStopsTheRun(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := r.bucket(1)
	for _, key := range []string{"a", "b", "c"} {
		r.put(b, key, 1, 3, versioning.PutOptions{})
	}
	damaged := keys.AppendDescriptor(nil, 1, []byte("b"))
	batch := r.eng.NewBatch()
	r.must(batch.Put(r.store.Shard(), damaged, []byte("not a descriptor")))
	r.must(r.eng.Commit(ctx, batch, 0))
	batch.Close()
	report, err := vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, nil)
	if !errors.Is(err, base.ErrCorruption) || report.Trimmed != 1 || string(report.Next) != "a\x00" {
		t.Errorf("%+v, %v", report, err)
	}
	batch = r.eng.NewBatch() // nothing that the final check would find
	bounds := keys.KeyBounds(1, []byte("b"))
	r.must(batch.DeleteRange(r.store.Shard(), bounds.Lower, bounds.Upper))
	r.must(r.eng.Commit(ctx, batch, 0))
	batch.Close()
}
