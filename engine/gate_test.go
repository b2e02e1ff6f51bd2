package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// TestGate: nobody is inside when the gate counts as drained, however enters, leaves and the shut race.
func TestGate(t *testing.T) {
	for range 500 {
		var g gate
		g.init()
		var inside, entered atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for g.enter() {
					entered.Add(1)
					inside.Add(1)
					inside.Add(-1)
					g.leave()
					if entered.Load() > 1000 {
						return
					}
				}
			})
		}
		if !g.shut() {
			t.Fatal("the first shut says that it was not the first")
		}
		if err := g.wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := inside.Load(); n != 0 {
			t.Fatalf("%d inside a drained gate", n)
		}
		if g.enter() || g.shut() || !g.isShut() {
			t.Fatal("a shut gate opened again")
		}
		wg.Wait()
		if n := g.users(); n != 0 {
			t.Fatalf("%d users left", n)
		}
	}
}
