package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// TestEveryAcknowledgedWriteIsDoneOnce writes from several goroutines while answers are lost and the node is cut off and
// stopped, again and again. Each goroutine counts what was acknowledged for each of its keys; a write that was done twice
// would show as a version too many, one that was lost as one too few.
func TestEveryAcknowledgedWriteIsDoneOnce(t *testing.T) {
	const writers, keysEach, putsEach, restarts = 16, 4, 40, 4
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	n := nodetest.Start(t, nil)
	f := newFaulty(t, n)
	c := open(t, n, &client.Options{Dialer: f, RetryFor: time.Minute})
	b := c.Bucket("")

	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	f.set(func() bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(10) == 0
	})
	var wg sync.WaitGroup
	var done atomic.Int64
	step := make(chan struct{}, writers*keysEach*putsEach)
	for w := range writers {
		wg.Go(func() {
			for i := range keysEach * putsEach {
				key := fmt.Appendf(nil, "w%d/%d", w, i%keysEach)
				res, err := b.Put(t.Context(), key, fmt.Appendf(nil, "%d", i), nil)
				if err != nil || res.Version != i/keysEach+1 {
					t.Errorf("put %d of %s: version %d, %v", i, key, res.Version, err)
					return
				}
				done.Add(1)
				step <- struct{}{}
			}
		})
	}
	go func() { wg.Wait(); close(step) }()
	count, next := 0, writers*keysEach*putsEach/(restarts+1)
	for range step {
		if count++; count%next == 0 && count/next <= restarts {
			if count/next%2 == 0 {
				n.Stop()
			} else {
				n.Cut()
			}
			n.Start()
		}
	}
	f.set(nil)
	m := c.Metrics()
	t.Logf("%d answers lost, %+v", f.lost.Load(), m)
	if f.lost.Load() < 20 || m.Retries < 20 || done.Load() != writers*keysEach*putsEach {
		t.Errorf("too little happened: %d answers lost, %d retries, %d puts", f.lost.Load(), m.Retries, done.Load())
	}
	for w := range writers {
		for k := range keysEach {
			key := fmt.Appendf(nil, "w%d/%d", w, k)
			if d, err := b.Describe(t.Context(), key); err != nil || d.Versions != putsEach {
				t.Errorf("%s has %d versions, acknowledged were %d; %v", key, d.Versions, putsEach, err)
			}
		}
	}
}

// TestScansSurviveRestarts scans and reads a history while connections are cut.
func TestScansSurviveRestarts(t *testing.T) {
	n := nodetest.Start(t, nil)
	f := newFaulty(t, n)
	c := open(t, n, &client.Options{Dialer: f, RetryFor: time.Minute})
	ctx, b := t.Context(), c.Bucket("")
	const all = 3000
	value := make([]byte, 500)
	for i := 0; i < all; {
		batch := c.NewBatch()
		for ; batch.Len() < 1000; i++ {
			if err := batch.Put(b, fmt.Appendf(nil, "%05d", i), value, nil); err != nil {
				t.Fatal(err)
			}
		}
		must[[]client.WriteResult](t)(batch.Commit(ctx))
	}
	for range 200 {
		must[client.WriteResult](t)(b.Put(ctx, []byte("h"), make([]byte, 2000), nil))
	}
	var reads atomic.Int64
	f.set(func() bool { return reads.Add(1)%25 == 0 })
	for _, reverse := range []bool{false, true} {
		i := 0
		for e, err := range b.Scan(ctx, &client.ScanOptions{Values: true, Prefix: []byte("0"), Reverse: reverse, Limit: all - 10}) {
			want := i
			if reverse {
				want = all - 1 - i
			}
			if err != nil || string(e.Key) != fmt.Sprintf("%05d", want) || len(e.Value.Data) != len(value) {
				t.Fatalf("step %d (reverse %t): key %s, %v", i, reverse, e.Key, err)
			}
			if i++; i == all/2 {
				n.Cut()
				n.Start()
			}
		}
		if i != all-10 {
			t.Errorf("reverse %t: %d keys", reverse, i)
		}
	}
	want := 200
	for v, err := range b.History(ctx, []byte("h"), &client.HistoryOptions{Values: true}) {
		if err != nil || v.Version != want || len(v.Data) != 2000 {
			t.Fatalf("history at %d: version %d, %v", want, v.Version, err)
		}
		want--
	}
	if want != 0 {
		t.Errorf("the history ended at version %d", want+1)
	}
	if f.lost.Load() < 5 {
		t.Errorf("only %d answers were lost", f.lost.Load())
	}
}

func TestTokensGoOnAnywhere(t *testing.T) {
	n := nodetest.Start(t, nil)
	c := open(t, n, nil)
	ctx, b := t.Context(), c.Bucket("")
	for i := range 10 {
		must[client.WriteResult](t)(b.Put(ctx, fmt.Appendf(nil, "%d", i), nil, nil))
	}
	for _, reverse := range []bool{false, true} {
		var token []byte
		var seen string
		for range 10 { // one key at a time, each by the token of a client's own entry in the middle of a message
			for e, err := range b.Scan(ctx, &client.ScanOptions{Reverse: reverse, Resume: token}) {
				if err != nil {
					t.Fatal(err)
				}
				seen += string(e.Key)
				token = e.Token()
				break
			}
		}
		if want := map[bool]string{false: "0123456789", true: "9876543210"}[reverse]; seen != want {
			t.Errorf("reverse %t: %s", reverse, seen)
		}
	}
	if got := must[uint64](t)(b.Count(ctx, &client.ScanOptions{Start: []byte("3"), End: []byte("7")})); got != 4 {
		t.Errorf("counted %d", got)
	}
}

// manualWall is a clock that a test moves.
type manualWall struct{ now atomic.Int64 }

func newWall() *manualWall {
	w := &manualWall{}
	w.now.Store(time.Now().UnixNano())
	return w
}

func (w *manualWall) read() time.Time { return time.Unix(0, w.now.Add(1000)) }

func (w *manualWall) advance(d time.Duration) { w.now.Add(int64(d)) }

func TestAnExpiredSession(t *testing.T) {
	wall := newWall()
	n := nodetest.Start(t, &nodetest.Options{Wall: hlc.WallClock(wall.read), Store: &kvstore.Options{SessionIdle: time.Minute}})
	f := newFaulty(t, n)
	c := open(t, n, &client.Options{Dialer: f})
	ctx, b := t.Context(), c.Bucket("")
	must[client.WriteResult](t)(b.Put(ctx, []byte("a"), nil, nil))

	// A write that was never sent before gets a new session, and nobody notices.
	wall.advance(10 * time.Minute)
	other := open(t, n, nil) // its writes carry the store's time on
	must[client.WriteResult](t)(other.Bucket("").Put(ctx, []byte("b"), nil, nil))
	if res := must[client.WriteResult](t)(b.Put(ctx, []byte("a"), nil, nil)); res.Version != 2 {
		t.Errorf("put behind an expired session: %+v", res)
	}
	if m := c.Metrics(); m.Sessions != 2 || m.SessionsExpired != 1 {
		t.Errorf("metrics: %+v", m)
	}

	// A write whose answer was lost and whose session is forgotten may have been done: nobody can tell.
	f.set(func() bool {
		f.set(nil)
		wall.advance(10 * time.Minute)
		must[client.WriteResult](t)(other.Bucket("").Put(ctx, []byte("b"), nil, nil))
		return true
	})
	_, err := b.Put(ctx, []byte("a"), nil, nil)
	if !errors.Is(err, client.ErrUnknownOutcome) || !errors.Is(err, kverr.ErrSessionExpired) {
		t.Errorf("a lost write of a forgotten session: %v", err)
	}
	if d := must[client.Descriptor](t)(b.Describe(ctx, []byte("a"))); d.Versions != 3 {
		t.Errorf("the key has %d versions: the write was done once, or the test is wrong", d.Versions)
	}
}

func TestWritesWithoutSession(t *testing.T) {
	n := nodetest.Start(t, nil)
	f := newFaulty(t, n)
	c := open(t, n, &client.Options{Dialer: f, NoSession: true})
	ctx, b := t.Context(), c.Bucket("")
	must[client.WriteResult](t)(b.Put(ctx, []byte("a"), nil, nil))
	f.set(func() bool { f.set(nil); return true })
	if _, err := b.Put(ctx, []byte("a"), nil, nil); !errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("a lost write without a session: %v", err)
	}
	f.set(func() bool { f.set(nil); return true })
	if v := must[client.Value](t)(b.Stat(ctx, []byte("a"))); v.Version != 2 { // a read is sent again
		t.Errorf("the key has version %d", v.Version)
	}
}

func TestDeadlines(t *testing.T) {
	n := nodetest.Start(t, nil)
	c := open(t, n, &client.Options{MinBackoff: time.Millisecond, DialTimeout: 200 * time.Millisecond})
	b := c.Bucket("")
	must[client.WriteResult](t)(b.Put(t.Context(), []byte("a"), nil, nil))
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Put(done, []byte("a"), nil, nil); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnknownOutcome) {
		t.Errorf("a put that was cancelled before it was sent: %v", err)
	}
	n.Stop()
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := b.Get(short, []byte("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a get without a node: %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("the deadline of 500 ms was kept after %v", took)
	}
	n.Start()
	must[client.Value](t)(b.Get(t.Context(), []byte("a")))
}

// TestSeveralAddresses has a client that knows an address where nobody is.
func TestSeveralAddresses(t *testing.T) {
	n := nodetest.Start(t, nil)
	c := must[*client.Client](t)(client.Open(t.Context(), []string{"127.0.0.1:9", n.Addr()},
		&client.Options{Certs: n.Certs(), DialTimeout: 500 * time.Millisecond}))
	defer c.Close()
	if _, err := c.Bucket("").Put(t.Context(), []byte("a"), nil, nil); err != nil || c.Addr() != n.Addr() {
		t.Errorf("put at %s: %v", c.Addr(), err)
	}
	n.Cut()
	n.Start()
	if _, err := c.Bucket("").Get(t.Context(), []byte("a")); err != nil {
		t.Errorf("get behind a restart: %v", err)
	}
}

// TestManyInFlight shares one pair among many goroutines.
func TestManyInFlight(t *testing.T) {
	n := nodetest.Start(t, nil)
	var observed atomic.Int64
	c := open(t, n, &client.Options{MaxInFlight: 64, Observe: func(call client.Call) {
		if call.Err == nil && call.Method == "put" && call.Took > 0 && call.Attempts == 1 {
			observed.Add(1)
		}
	}})
	b := c.Bucket("")
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			if _, err := b.Put(t.Context(), fmt.Appendf(nil, "%d", i), nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m := c.Metrics(); m.Calls < 500 || m.Failed != 0 || m.Connections != 1 || observed.Load() != 500 {
		t.Errorf("%+v, observed %d", m, observed.Load())
	}
}
