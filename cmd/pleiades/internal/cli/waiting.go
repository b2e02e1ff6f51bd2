package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldmaidens/pleiades/client"
)

const (
	// noteAfter is how long a node may be away before the person is told what is waited for.
	noteAfter = time.Second
	// lookEvery is how often it is looked whether there is a connection.
	lookEvery = 100 * time.Millisecond
)

// lockedWriter lets several goroutines write lines to standard error.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// sayWhatIsWaitedFor writes a line when there has been no connection for noteAfter. c is empty until there was a first one.
// stop ends it, and returns when it has ended.
func (a *App) sayWhatIsWaitedFor(ctx context.Context, c *atomic.Pointer[client.Client]) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		said, away := false, time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if open := c.Load(); open != nil && open.Addr() != "" {
					said, away = false, now
				} else if !said && now.Sub(away) >= noteAfter {
					said = true
					a.note("waiting for %s: no answer yet%s", strings.ReplaceAll(a.text("addr"), ",", " or "), a.untilWhen(open != nil))
				}
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// untilWhen says how long a command waits for its node.
func (a *App) untilWhen(connected bool) string {
	switch {
	case a.timeout() > 0:
		return ""
	case connected:
		return " (--timeout says for how long)"
	}
	return " (--timeout 1m would wait longer)"
}

// openClient connects to a node. With --timeout it goes on trying until then: the node may be starting.
func (a *App) openClient(ctx context.Context, addrs []string, opts *client.Options) (*client.Client, error) {
	var unreachable error
	for {
		c, err := client.Open(ctx, addrs, opts)
		switch {
		case err != nil && unreachable != nil && errors.Is(err, context.DeadlineExceeded):
			return nil, unreachable // which says more
		case err == nil || a.timeout() == 0 || !errors.Is(err, client.ErrUnreachable):
			return c, err
		}
		unreachable = err
		timer := time.NewTimer(lookEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}
