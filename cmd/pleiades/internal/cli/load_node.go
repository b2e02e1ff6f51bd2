package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
)

const (
	// loadWindow is how many batches are under way at a node.
	loadWindow = 8
	// loadRetry is how long a load waits for a node that restarts.
	loadRetry = 2 * time.Minute
	// loadGrace is how long an interrupted load waits for the batches that are under way.
	loadGrace = 10 * time.Second
)

// nodeLoader is one run of kv load at a node: one goroutine reads, a few more commit batches.
type nodeLoader struct {
	*loader
	in  *client.Bucket
	c   *client.Client
	ctx context.Context // of the commits: it outlives an interruption by loadGrace

	busy    map[string]int // the keys of the batches under way, and in how many of them: never more than 1
	under   int            // batches under way
	results chan nodeResult
}

// nodeResult is what became of one batch.
type nodeResult struct {
	items             []loadItem
	loaded, unchanged int64
	// bad are the items that the node refused, in their order.
	bad []*record.Bad
	err error
}

// loadAtNode runs kv load at a node.
func (a *App) loadAtNode(ctx context.Context, l *loader, start time.Time) error {
	if _, ok := record.DumpHeader(l.src); ok {
		return exit.New(exit.Usage, "stop the node and load it into its directory: --dir DIR",
			"%w: a dump keeps the timestamps of its versions, which only a directory takes", base.ErrInvalid)
	}
	return a.withClient(ctx, client.Options{RetryFor: loadRetry}, func(c *client.Client) error {
		return a.atBucket(ctx, c, func(s *session) error {
			if err := l.in.settle(); err != nil {
				return inputFix(err)
			}
			l.s = s
			l.bar = a.bar("loading", l.in.size, "B")
			commits, cancel := withGrace(ctx, loadGrace)
			defer cancel()
			n := &nodeLoader{loader: l, in: s.remote.b, c: c, ctx: commits, busy: map[string]int{}, results: make(chan nodeResult, loadWindow)}
			err := n.load(ctx)
			l.bar.Clear()
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				err = exit.WithFix(err, "run the same command again with --skip-unchanged: what was counted stays there, and makes no second version")
			}
			return errors.Join(l.report(a.now().Sub(start)), nodeError(err))
		})
	})
}

// withGrace returns a context that ends some time after ctx.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// load reads to the end. Batches that are under way when something stops it are waited for.
func (n *nodeLoader) load(ctx context.Context) error {
	err := n.read(ctx)
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(err, n.send())
	}
	for n.under > 0 {
		err = errors.Join(err, n.settle(<-n.results))
	}
	return err
}

func (n *nodeLoader) read(ctx context.Context) error {
	for records := int64(0); ; records++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := n.src.Next()
		var bad *record.Bad
		switch {
		case err == nil:
			n.batch.add(r)
		case errors.As(err, &bad):
			if n.f.onError == "stop" {
				return errors.Join(n.send(), n.badRecord(bad))
			}
			if err := n.badRecord(bad); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			return nil
		default:
			return errors.Join(inputFix(err), n.send())
		}
		if n.batch.full(n.f.batch) {
			if err := n.send(); err != nil {
				return err
			}
		}
		n.bar.Set(n.loader.in.read, fmt.Sprintf("%d records", records+1))
	}
}

// send gives the collected records to a goroutine that commits them. It waits for room, and for batches that hold one of
// their keys: versions are written in the order of the input.
func (n *nodeLoader) send() error {
	items := n.batch.items
	n.batch = loadBatch{} // the items keep their memory
	if len(items) == 0 {
		return nil
	}
	for n.under == loadWindow || n.meets(items) {
		if err := n.settle(<-n.results); err != nil {
			return err
		}
	}
	n.under++
	for i := range items {
		n.busy[string(items[i].key)] = 1
	}
	go func() { n.results <- n.commitItems(items) }()
	return nil
}

func (n *nodeLoader) meets(items []loadItem) bool {
	for i := range items {
		if n.busy[string(items[i].key)] != 0 {
			return true
		}
	}
	return false
}

// settle takes in what became of a batch.
func (n *nodeLoader) settle(r nodeResult) error {
	n.under--
	for i := range r.items {
		delete(n.busy, string(r.items[i].key))
	}
	n.loaded += r.loaded
	n.unchanged += r.unchanged
	for _, bad := range r.bad {
		if err := n.badRecord(bad); err != nil {
			return errors.Join(err, r.err)
		}
	}
	return r.err
}

// commitItems puts the items in one batch, or in as many as the node's bounds ask for.
func (n *nodeLoader) commitItems(items []loadItem) nodeResult {
	r := nodeResult{items: items}
	latest := map[string]*loadItem{}
	batch := n.c.NewBatch()
	var in []*loadItem // of the batch
	for i := range items {
		it := &items[i]
		if n.f.skipUnchanged {
			same, err := n.isLatestAtNode(it, latest[string(it.key)])
			if err != nil {
				r.err = err
				return r
			}
			if same {
				r.unchanged++
				continue
			}
		}
		if err := batch.Put(n.in, it.key, it.value, nil); err != nil {
			r.bad = append(r.bad, &record.Bad{Line: it.line, Err: err})
			if n.f.onError == "stop" {
				break
			}
			continue
		}
		latest[string(it.key)] = it
		in = append(in, it)
	}
	_, err := batch.Commit(n.ctx)
	switch {
	case err == nil:
		r.loaded += int64(len(in))
	case refusal(err):
		r.err = n.commitEach(&r, in)
	default:
		r.err = err
	}
	return r
}

// commitEach puts the items of a batch that was refused in halves, until each that is refused stands alone.
func (n *nodeLoader) commitEach(r *nodeResult, in []*loadItem) error {
	for len(in) > 0 {
		half := in[:(len(in)+1)/2]
		batch := n.c.NewBatch()
		for _, it := range half {
			if err := batch.Put(n.in, it.key, it.value, nil); err != nil {
				return err // they were accepted before
			}
		}
		_, err := batch.Commit(n.ctx)
		switch {
		case err == nil:
			r.loaded += int64(len(half))
		case !refusal(err):
			return err
		case len(half) == 1:
			r.bad = append(r.bad, &record.Bad{Line: half[0].line, Err: err})
			if n.f.onError == "stop" {
				return nil
			}
		default:
			if err := n.commitEach(r, half); err != nil || len(r.bad) > 0 && n.f.onError == "stop" {
				return err
			}
		}
		in = in[len(half):]
	}
	return nil
}

// isLatestAtNode reports whether an item's value is what its key has already: by the last item of the batch with that key,
// or at the node.
func (n *nodeLoader) isLatestAtNode(it, last *loadItem) (bool, error) {
	if last != nil {
		return bytes.Equal(last.value, it.value), nil
	}
	v, err := n.in.Get(n.ctx, it.key)
	switch {
	case err == nil:
		return bytes.Equal(v.Data, it.value), nil
	case errors.Is(err, client.ErrNotFound), refusal(err): // what cannot be a key is refused when it is put
		return false, nil
	}
	return false, err
}
