package pwp

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
)

func TestLedgerServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &ledger{limit: 100}
		one, other := &ledger{limit: 60, parent: all}, &ledger{limit: 60, parent: all}
		if !one.acquire(50, nil) {
			t.Fatal("there was room")
		}
		order := make(chan string, 3)
		wait := func(l *ledger, n int64, name string) {
			go func() {
				if l.acquire(n, nil) {
					order <- name
				}
			}()
			synctest.Wait()
		}
		wait(one, 60, "large") // does not fit before everything is given back
		wait(one, 5, "small")  // would fit, and waits behind it
		wait(other, 50, "other connection")
		if got := <-order; got != "other connection" || len(order) != 0 {
			t.Fatalf("%s went first, and %d more went", got, len(order))
		}
		if n := all.inUse(); n != 100 {
			t.Fatalf("%d bytes are charged: who waits for its own connection holds room of all", n)
		}
		one.release(50)
		synctest.Wait()
		if len(order) != 0 {
			t.Fatal("the large one went although all have 50 of 100 in use")
		}
		other.release(50)
		if got := <-order; got != "large" {
			t.Fatalf("%s overtook", got)
		}
		one.release(60)
		if got := <-order; got != "small" {
			t.Fatal(got)
		}
		one.release(5)
		for _, l := range []*ledger{all, one, other} {
			if n := l.inUse(); n != 0 {
				t.Errorf("%d bytes are left", n)
			}
		}
	})
}

func TestLedgerForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &ledger{limit: 10}
		one := &ledger{limit: 10, parent: all}
		one.acquire(8, nil)
		stop := make(chan struct{})
		results := make(chan bool, 2)
		go func() { results <- one.acquire(9, stop) }()
		synctest.Wait()
		go func() { results <- one.acquire(2, nil) }()
		synctest.Wait()
		close(stop)
		first, second := <-results, <-results
		if first == second {
			t.Fatalf("both got %v", first)
		}
		if n := all.inUse(); n != 10 {
			t.Fatalf("%d bytes are charged, want 8 + 2", n)
		}
		one.release(8)
		one.release(2)
	})
}

// TestLedgerUnderLoad has many take and give back, and some give up.
func TestLedgerUnderLoad(t *testing.T) {
	all := &ledger{limit: 1000}
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		mine := &ledger{limit: 400, parent: all}
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 2000 {
				stop := make(chan struct{})
				if random.IntN(4) == 0 {
					close(stop)
				}
				n := random.Int64N(400) + 1
				if mine.acquire(n, stop) {
					if used := all.inUse(); used > all.limit {
						t.Errorf("%d of %d", used, all.limit)
					}
					mine.release(n)
				}
			}
		})
	}
	wg.Wait()
	if n := all.inUse(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestBuffersComeBackEmpty(t *testing.T) {
	for _, size := range []int{0, 1, 512, 513, 64 << 10, 64<<10 + 1, 1 << 20} {
		b := newBuffer(size)
		if len(b.b) != 0 || cap(b.b) < min(size, 64<<10) || cap(b.b) > 64<<10 {
			t.Errorf("for %d bytes: length %d, capacity %d", size, len(b.b), cap(b.b))
		}
		b.b = append(b.b, bytes.Repeat([]byte{1}, min(size, 100))...)
		led := &ledger{limit: 10}
		led.acquire(7, nil)
		b.ledger, b.charge = led, 7
		b.release()
		if led.inUse() != 0 {
			t.Error("the charge stays")
		}
	}
	(*buffer)(nil).release()
}
