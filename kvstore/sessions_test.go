package kvstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// sessionPut writes with a session.
func (r *rig) sessionPut(who kvstore.Caller, id []byte, seq, low uint64, key, value string) (*kvstorev1.WriteResponse, error) {
	return r.store.Put(r.tb.Context(), who, &kvstorev1.PutRequest{
		Key: []byte(key), Value: []byte(value), Session: &kvstorev1.Session{Id: id, Sequence: seq, LowWater: low},
	})
}

func (r *rig) session(who kvstore.Caller) []byte {
	r.tb.Helper()
	s, err := r.store.OpenSession(r.tb.Context(), who)
	if err != nil {
		r.tb.Fatal(err)
	}
	return s.Id
}

// TestAWriteOfASessionIsDoneOnce, also across a restart, refusals included; other writes under its number are told apart.
func TestAWriteOfASessionIsDoneOnce(t *testing.T) {
	r := newRig(t, nil)
	id := r.session(maia)
	first, err := r.sessionPut(maia, id, 1, 1, "k", "one")
	if err != nil || first.Repeated {
		t.Fatalf("%v, %v", first, err)
	}
	refused := func() error {
		_, err := r.store.Put(t.Context(), maia, &kvstorev1.PutRequest{
			Key: []byte("k"), Value: []byte("two"), IfAbsent: true, Session: &kvstorev1.Session{Id: id, Sequence: 2, LowWater: 1},
		})
		return err
	}
	if err := refused(); !errors.Is(err, kverr.ErrExists) {
		t.Fatal(err)
	}
	if _, err := r.store.Purge(t.Context(), nobody, &kvstorev1.PurgeRequest{Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := refused(); !errors.Is(err, kverr.ErrExists) {
			t.Fatalf("a write that was refused before: %v", err)
		}
		again, err := r.sessionPut(maia, id, 1, 1, "k", "one")
		if err != nil || !again.Repeated || again.Version != 1 || again.Revision.WallNanos != first.Revision.WallNanos {
			t.Fatalf("%v, %v", again, err)
		}
		if _, err := r.get(0, "k"); !errors.Is(err, kverr.ErrNotFound) {
			t.Fatalf("the repetition wrote: %v", err)
		}
		r.reopen()
	}
	if _, err := r.sessionPut(maia, id, 1, 1, "k", "another"); !errors.Is(err, kverr.ErrSequence) {
		t.Fatalf("another write under the same number: %v", err)
	}
	if _, err := r.sessionPut(merope, id, 3, 1, "k", "x"); !errors.Is(err, kverr.ErrSessionForeign) {
		t.Fatalf("somebody else's session: %v", err)
	}
	if _, err := r.sessionPut(maia, id, 4, 4, "k", "four"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for seq := range uint64(4) {
			if _, err := r.sessionPut(maia, id, seq, 0, "k", "old"); !errors.Is(err, kverr.ErrSequence) {
				t.Fatalf("a write below the low-water mark: %v", err)
			}
		}
		r.reopen()
	}
	if err := r.store.CloseSession(t.Context(), merope, id); !errors.Is(err, kverr.ErrSessionForeign) {
		t.Fatal(err)
	}
	if err := r.store.CloseSession(t.Context(), maia, id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.sessionPut(maia, id, 4, 4, "k", "four"); !errors.Is(err, kverr.ErrSessionExpired) {
			t.Fatalf("a closed session: %v", err)
		}
		r.reopen()
	}
}

// TestManyWaysOfOneWrite: a hundred copies of each write at once, in any order, are one write each.
func TestManyWaysOfOneWrite(t *testing.T) {
	r := newRig(t, nil)
	id := r.session(maia)
	var wg sync.WaitGroup
	fresh := make([]int, 5)
	var mu sync.Mutex
	for range 100 {
		for seq := uint64(1); seq < 5; seq++ {
			wg.Go(func() {
				w, err := r.sessionPut(maia, id, seq, 1, "k", string(rune('a'+seq)))
				if err != nil {
					t.Error(err)
					return
				}
				if !w.Repeated {
					mu.Lock()
					fresh[seq]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	d, err := r.store.Describe(t.Context(), &kvstorev1.DescribeRequest{Key: []byte("k")})
	if err != nil || d.Descriptor_.Versions != 4 {
		t.Fatalf("%v, %v", d, err)
	}
	for seq := 1; seq < 5; seq++ {
		if fresh[seq] != 1 {
			t.Errorf("write %d was done %d times", seq, fresh[seq])
		}
	}
}

// TestSessionsExpireByTheMachinesTime, and their rows go; sessions in use stay.
func TestSessionsExpireByTheMachinesTime(t *testing.T) {
	r := newRig(t, &kvstore.Options{SessionIdle: time.Minute, MaxSessions: 3, MaxSessionRows: 4})
	idle, busy := r.session(maia), r.session(maia)
	if _, err := r.sessionPut(maia, idle, 1, 1, "k", "v"); err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq < 4; seq++ {
		r.wall.Advance(40 * time.Second)
		if _, err := r.sessionPut(maia, busy, seq, seq, "busy", "v"); err != nil {
			t.Fatalf("write %d: %v", seq, err)
		}
	}
	if _, err := r.sessionPut(maia, idle, 1, 1, "k", "v"); !errors.Is(err, kverr.ErrSessionExpired) {
		t.Fatalf("an idle session: %v", err)
	}
	r.reopen()
	if _, err := r.sessionPut(maia, idle, 2, 1, "k", "v"); !errors.Is(err, kverr.ErrSessionExpired) {
		t.Fatalf("an idle session after a restart: %v", err)
	}
	for range 2 {
		r.session(maia)
	}
	if _, err := r.store.OpenSession(t.Context(), maia); !errors.Is(err, kvstore.ErrOverloaded) {
		t.Fatalf("one session too many: %v", err)
	}
	for seq := uint64(4); seq < 7; seq++ {
		if _, err := r.sessionPut(maia, busy, seq, 3, "busy", "v"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.sessionPut(maia, busy, 7, 3, "busy", "v"); !errors.Is(err, kvstore.ErrOverloaded) {
		t.Fatalf("one outstanding write too many: %v", err)
	}
	if _, err := r.sessionPut(maia, busy, 7, 5, "busy", "v"); err != nil {
		t.Fatal(err)
	}
}

// TestAdminWritesOfASession are done once too.
func TestAdminWritesOfASession(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	id := r.session(maia)
	at := func(seq uint64) *kvstorev1.Session { return &kvstorev1.Session{Id: id, Sequence: seq, LowWater: 1} }
	for i := range 2 {
		a, err := r.store.CreateAccount(ctx, maia, &kvstorev1.CreateAccountRequest{Name: "a", Session: at(1)})
		if err != nil || a.Id != 1001 {
			t.Fatalf("%d: %v, %v", i, a, err)
		}
		b, err := r.store.CreateBucket(ctx, maia, &kvstorev1.CreateBucketRequest{Account: "a", Name: "b", Session: at(2)})
		if err != nil || b.Id != 1001 {
			t.Fatalf("%d: %v, %v", i, b, err)
		}
		r.reopen()
	}
	for i := range 2 {
		p, err := r.store.DeleteBucket(ctx, maia, &kvstorev1.DeleteBucketRequest{Account: "a", Name: "b", Session: at(3)}, nil)
		if err != nil || !p.Done {
			t.Fatalf("%d: %v, %v", i, p, err)
		}
		q, err := r.store.DeleteAccount(ctx, maia, &kvstorev1.DeleteAccountRequest{Name: "a", Session: at(4)}, nil)
		if err != nil || !q.Done {
			t.Fatalf("%d: %v, %v", i, q, err)
		}
		r.reopen()
	}
	if _, err := r.store.GetAccount(ctx, maia, &kvstorev1.GetAccountRequest{Name: "a"}); !errors.Is(err, kverr.ErrAccountNotFound) {
		t.Fatal(err)
	}
}

// TestOneCallerLeavesSessionsToOthers: who opens sessions without end, or begins them by writing, does not keep others from
// it, also after a restart; and what is closed may be opened again.
func TestOneCallerLeavesSessionsToOthers(t *testing.T) {
	r := newRig(t, &kvstore.Options{MaxSessions: 100})
	greedy, modest := kvstore.Caller{Name: "greedy", Role: kvstore.RoleClient}, kvstore.Caller{Name: "modest", Role: kvstore.RoleClient}
	var last []byte
	for range 25 {
		last = r.session(greedy)
	}
	for range 2 {
		if _, err := r.store.OpenSession(t.Context(), greedy); !errors.Is(err, kvstore.ErrOverloaded) {
			t.Fatalf("a further one: %v", err)
		}
		if _, err := r.sessionPut(modest, r.session(modest), 1, 1, "k", "v"); err != nil {
			t.Fatalf("another caller: %v", err)
		}
		r.reopen()
	}
	if err := r.store.CloseSession(t.Context(), greedy, last); err != nil {
		t.Fatal(err)
	}
	r.session(greedy)
}
