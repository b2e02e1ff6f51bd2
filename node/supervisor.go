package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// supervisor starts the parts of a node one after the other and stops them in reverse. It owns every goroutine that runs
// for the node as a whole.
type supervisor struct {
	log *slog.Logger
	// limit bounds how long a part may take to stop, unless it says otherwise.
	limit time.Duration

	// failed is closed when a part failed, see mu.err.
	failed chan struct{}

	mu struct {
		sync.Mutex
		parts []part
		err   error // of the first part that failed
	}
}

// part is something that was started.
type part struct {
	name  string
	limit time.Duration
	stop  func(ctx context.Context) error
}

func newSupervisor(log *slog.Logger, limit time.Duration) *supervisor {
	return &supervisor{log: log, limit: limit, failed: make(chan struct{})}
}

// start runs one step of starting. What start returns is called when the node stops, nil for nothing.
func (s *supervisor) start(ctx context.Context, name string, start func(ctx context.Context) (stop func(ctx context.Context) error, err error)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("node: not started, before %s: %w", name, context.Cause(ctx))
	}
	from := time.Now()
	stop, err := start(ctx)
	took := time.Since(from).Round(time.Microsecond)
	if err != nil {
		s.log.Error("start failed", "step", name, "took", took, "error", err)
		return err
	}
	s.log.Info("started", "step", name, "took", took)
	if stop != nil {
		s.add(part{name: name, limit: s.limit, stop: stop})
	}
	return nil
}

// add puts a part on the list of those to be stopped.
func (s *supervisor) add(p part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.parts = append(s.mu.parts, p)
}

// run keeps fn going until the part is stopped. fn must return soon after its context ends. When it returns before, or
// panics, the node fails.
func (s *supervisor) run(name string, fn func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := protect(ctx, fn)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("it ended by itself")
			}
			s.fail(fmt.Errorf("%s: %w", name, err))
		}
		done <- err
	}()
	s.add(part{name: name, limit: s.limit, stop: func(stopping context.Context) error {
		cancel()
		select {
		case <-done:
			return nil // what went wrong before is in mu.err, what goes wrong behind a cancelled context does not matter
		case <-stopping.Done():
			return context.Cause(stopping)
		}
	}})
}

func protect(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanicked, p, debug.Stack())
		}
	}()
	return fn(ctx)
}

// fail notes the first error of a part that failed.
func (s *supervisor) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err != nil {
		s.log.Error("another part failed", "error", err)
		return
	}
	s.log.Error("a part failed, the node stops", "error", err)
	s.mu.err = err
	close(s.failed)
}

// err returns the error of the first part that failed.
func (s *supervisor) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// stop stops all parts, the last first, each within its limit and all within ctx. A part that does not stop in time is
// left behind and reported as ErrStopTimeout; the others are stopped all the same.
func (s *supervisor) stop(ctx context.Context) error {
	s.mu.Lock()
	parts := s.mu.parts
	s.mu.parts = nil
	s.mu.Unlock()
	var faults []error
	for i := len(parts) - 1; i >= 0; i-- {
		if err := s.stopPart(ctx, &parts[i]); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s *supervisor) stopPart(ctx context.Context, p *part) error {
	from := time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, p.limit, ErrStopTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- protect(bounded, p.stop) }() // ends with the part, or is left behind with it
	var err error
	select {
	case err = <-done:
	case <-bounded.Done():
		select {
		case err = <-done: // it saw the same end
		case <-time.After(grace):
			err = context.Cause(bounded)
		}
	}
	took := time.Since(from).Round(time.Microsecond)
	if err != nil {
		err = fmt.Errorf("stopping %s: %w", p.name, err)
		s.log.Error("stop failed", "step", p.name, "took", took, "error", err)
		return err
	}
	s.log.Info("stopped", "step", p.name, "took", took)
	return nil
}

// grace is how long a part whose time is over may take to say so itself.
const grace = 500 * time.Millisecond
