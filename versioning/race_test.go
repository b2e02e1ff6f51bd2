package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestReaderNeverSeesAnotherVersionsBytes reads the oldest versions of a key at the limit while a
// writer rolls it over: the slot of version 1 is the one that each put overwrites. The i'th put
// writes i, so version n holds i - (255 - n) once i puts are done.
func TestReaderNeverSeesAnotherVersionsBytes(t *testing.T) {
	for _, rollover := range []versioning.Rollover{versioning.Relabel, versioning.Cascade} {
		t.Run(rollover.String(), func(t *testing.T) {
			r := newRig(t, nil)
			b := r.bucket(1)
			if err := b.SetSettings(t.Context(), versioning.Settings{MaxVersions: 255, Rollover: rollover}); err != nil {
				t.Fatal(err)
			}
			put := func(i int64) error {
				_, err := b.Put(context.Background(), []byte("k"), strconv.AppendInt(nil, i, 10), &versioning.PutOptions{NoSync: true})
				return err
			}
			for i := range int64(300) {
				if err := put(i + 1); err != nil {
					t.Fatal(err)
				}
			}
			puts := int64(6000)
			if rollover == versioning.Cascade {
				puts = 100
			}
			var begun, done atomic.Int64
			begun.Store(300)
			done.Store(300)
			var g errgroup.Group
			g.Go(func() error {
				for i := int64(301); i <= 300+puts; i++ {
					begun.Store(i)
					if err := put(i); err != nil {
						return err
					}
					done.Store(i)
				}
				return nil
			})
			var reads atomic.Int64
			for reader := range 3 {
				g.Go(func() error {
					for done.Load() < 300+puts {
						n := 1 + reader
						low := done.Load() - int64(255-n)
						v, err := b.GetVersion(context.Background(), []byte("k"), n)
						high := begun.Load() - int64(255-n)
						if err != nil {
							return err
						}
						got, err := strconv.ParseInt(string(v.Data), 10, 64)
						if err != nil || v.Version != n || got < low || got > high {
							return fmt.Errorf("version %d holds %q (says %d), want %d to %d", n, v.Data, v.Version, low, high)
						}
						reads.Add(1)
					}
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			// Under Cascade a version never changes its slot, so the first guess is always right.
			if retries := r.store.Metrics().Retries; reads.Load() < 100 || (retries == 0) != (rollover == versioning.Cascade) {
				t.Fatalf("%d reads, %d retries: the race never happened", reads.Load(), r.store.Metrics().Retries)
			}
		})
	}
}

// TestHistoryAndGetAtAreOfOneInstant walks over the history at the limit while it rolls over.
func TestHistoryAndGetAtAreOfOneInstant(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	if err := b.SetSettings(t.Context(), versioning.Settings{MaxVersions: 20, Rollover: versioning.Relabel}); err != nil {
		t.Fatal(err)
	}
	var revisions sync.Map
	put := func(i int) error {
		res, err := b.Put(context.Background(), []byte("k"), strconv.AppendInt(nil, int64(i), 10), &versioning.PutOptions{NoSync: true})
		revisions.Store(i, res.Revision)
		return err
	}
	for i := range 40 {
		if err := put(i); err != nil {
			t.Fatal(err)
		}
	}
	var last atomic.Int64
	last.Store(39)
	var g errgroup.Group
	g.Go(func() error {
		defer last.Store(-1)
		for i := 40; i < 4000; i++ {
			if err := put(i); err != nil {
				return err
			}
			last.Store(int64(i))
		}
		return nil
	})
	g.Go(func() error {
		for last.Load() >= 0 {
			want := -1
			n := 20
			for v, err := range b.History(context.Background(), []byte("k"), &versioning.HistoryOptions{Values: true}) {
				if err != nil {
					return err
				}
				got, err := strconv.Atoi(string(v.Data))
				if err != nil || v.Version != n || want >= 0 && got != want {
					return fmt.Errorf("version %d (want %d) holds %q, want %d", v.Version, n, v.Data, want)
				}
				want, n = got-1, n-1
			}
			if n != 0 {
				return fmt.Errorf("the history ends at version %d", n+1)
			}
		}
		return nil
	})
	g.Go(func() error {
		for {
			i := int(last.Load())
			if i < 0 {
				return nil
			}
			ts, _ := revisions.Load(i - 5)
			v, err := b.GetAt(context.Background(), []byte("k"), ts.(hlc.Timestamp))
			if errors.Is(err, versioning.ErrHistoryTruncated) {
				continue
			}
			if err != nil || string(v.Data) != strconv.Itoa(i-5) {
				return fmt.Errorf("at the time of put %d: %q, %v", i-5, v.Data, err)
			}
		}
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestWritersOfOneKey lets many write one key: each write is a version of its own, in the order of
// the revisions, and waiting writes share commits.
func TestWritersOfOneKey(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	const writers, each = 16, 15
	var mu sync.Mutex
	byVersion := map[int]versioning.WriteResult{}
	values := map[int]string{}
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error {
			for i := range each {
				value := fmt.Sprintf("%d/%d", w, i)
				res, err := b.Put(context.Background(), []byte("k"), []byte(value), nil)
				if err != nil {
					return err
				}
				mu.Lock()
				if other, taken := byVersion[res.Version]; taken {
					err = fmt.Errorf("version %d was given twice: %+v and %+v", res.Version, other, res)
				}
				byVersion[res.Version], values[res.Version] = res, value
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for v, err := range b.History(t.Context(), []byte("k"), &versioning.HistoryOptions{Values: true, OldestFirst: true}) {
		if n++; err != nil || v.Version != n || v.Timestamp != byVersion[n].Revision || string(v.Data) != values[n] {
			t.Fatalf("version %d: %+v, %v; want %+v", n, v, err, byVersion[n])
		}
	}
	if n != writers*each {
		t.Fatalf("%d versions, want %d", n, writers*each)
	}
	if r.store.Metrics().Combined == 0 {
		t.Fatal("no two writes shared a commit")
	}
}

// TestCompareAndSetUnderContention counts up with compare-and-set from many goroutines.
func TestCompareAndSetUnderContention(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	if err := b.SetSettings(t.Context(), versioning.Settings{MaxVersions: 3, Rollover: versioning.Relabel}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), []byte("n"), []byte("0"), nil); err != nil {
		t.Fatal(err)
	}
	var conflicts atomic.Int64
	var g errgroup.Group
	const workers, each = 8, 40
	for range workers {
		g.Go(func() error {
			for done := 0; done < each; {
				v, err := b.GetVersion(context.Background(), []byte("n"), versioning.Latest)
				if err != nil {
					return err
				}
				n, _ := strconv.Atoi(string(v.Data))
				_, err = b.Put(context.Background(), []byte("n"), []byte(strconv.Itoa(n+1)), &versioning.PutOptions{IfRevision: &v.Timestamp, NoSync: true})
				switch {
				case errors.Is(err, versioning.ErrRevisionMismatch):
					conflicts.Add(1)
				case err != nil:
					return err
				default:
					done++
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	v, err := b.Get(t.Context(), []byte("n"))
	if err != nil || string(v.Data) != strconv.Itoa(workers*each) {
		t.Fatalf("%q, %v after %d increments", v.Data, err, workers*each)
	}
	t.Logf("%d conflicts", conflicts.Load())
}

// TestBatchesMoveMoney moves amounts between accounts in batches that lock their keys in any order,
// together with single writes: no deadlock, and the sum stays.
func TestBatchesMoveMoney(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	ctx := context.Background()
	const accounts, workers, each = 6, 8, 60
	name := func(i int) []byte { return fmt.Appendf(nil, "account %d", i) }
	for i := range accounts {
		if _, err := b.Put(ctx, name(i), []byte("100"), nil); err != nil {
			t.Fatal(err)
		}
	}
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for done := 0; done < each; {
				from, to := rng.IntN(accounts), rng.IntN(accounts)
				if from == to {
					if _, err := b.SetVacuumable(ctx, name(from), rng.IntN(2) == 0, nil); err != nil {
						return err
					}
					continue
				}
				batch := r.store.NewBatch()
				for _, move := range []struct{ account, by int }{{from, -1}, {to, +1}} {
					d, err := b.Describe(ctx, name(move.account))
					if err != nil {
						return err
					}
					v, err := b.Get(ctx, name(move.account))
					if err != nil {
						return err
					}
					amount, _ := strconv.Atoi(string(v.Data))
					err = batch.Put(b, name(move.account), []byte(strconv.Itoa(amount+move.by)), &versioning.PutOptions{IfRevision: &d.Revision})
					if err != nil {
						return err
					}
				}
				_, err := batch.Commit(ctx, &versioning.BatchOptions{NoSync: true})
				if err == nil {
					done++
				} else if !errors.Is(err, versioning.ErrRevisionMismatch) {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for e, err := range b.Scan(ctx, &versioning.ScanOptions{Values: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(string(e.Value.Data))
		sum += n
	}
	if sum != accounts*100 {
		t.Fatalf("the sum is %d, want %d", sum, accounts*100)
	}
}
