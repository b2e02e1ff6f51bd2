package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPartsStopInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(quiet(), time.Second)
		var order []string
		for _, name := range []string{"a", "b", "c"} {
			err := s.start(t.Context(), name, func(context.Context) (stopFunc, error) {
				order = append(order, "+"+name)
				return func(context.Context) error { order = append(order, "-"+name); return nil }, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		running := false
		s.run("loop", func(ctx context.Context) error {
			running = true
			<-ctx.Done()
			order = append(order, "-loop")
			return ctx.Err()
		})
		synctest.Wait()
		if err := s.stop(t.Context()); err != nil || !running {
			t.Fatal(err, running)
		}
		if want := []string{"+a", "+b", "+c", "-loop", "-c", "-b", "-a"}; !slices.Equal(order, want) {
			t.Fatalf("%v, want %v", order, want)
		}
		if err := s.stop(t.Context()); err != nil || s.err() != nil {
			t.Fatalf("a second stop: %v, %v", err, s.err())
		}
	})
}

// TestStopIsBounded: a part that does not stop is left behind after its limit, and those before it are stopped all the same.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(quiet(), time.Second)
		release := make(chan struct{})
		stopped := false
		s.add(part{name: "first", limit: time.Second, stop: func(context.Context) error { stopped = true; return nil }})
		s.add(part{name: "deaf", limit: time.Second, stop: func(context.Context) error { <-release; return nil }})
		s.run("deaf loop", func(context.Context) error { <-release; return nil })
		from := time.Now()
		err := s.stop(t.Context())
		if !errors.Is(err, ErrStopTimeout) || !strings.Contains(err.Error(), "deaf loop") || !stopped {
			t.Errorf("%v, stopped %v", err, stopped)
		}
		if took := time.Since(from); took < 2*time.Second || took > 2*(time.Second+grace) {
			t.Errorf("it took %v", took)
		}
		close(release)
	})
}

func TestTheFirstFailureEndsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(quiet(), time.Second)
		broken := errors.New("broken")
		s.run("good", func(ctx context.Context) error { <-ctx.Done(); return errors.New("late") })
		s.run("bad", func(context.Context) error { time.Sleep(time.Second); return broken })
		s.run("worse", func(context.Context) error { time.Sleep(2 * time.Second); panic("worse") })
		<-s.failed
		if !errors.Is(s.err(), broken) {
			t.Errorf("%v", s.err())
		}
		time.Sleep(5 * time.Second)
		if err := s.stop(t.Context()); err != nil || !errors.Is(s.err(), broken) {
			t.Errorf("%v, %v", err, s.err())
		}
	})
}

func TestPanicsAndQuietEndsAreFailures(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"panicked":         func(context.Context) error { panic("x") },
		"ended by itself":  func(context.Context) error { return nil },
		"context canceled": func(context.Context) error { return context.Canceled },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSupervisor(quiet(), time.Second)
			s.run("part", fn)
			<-s.failed
			if !strings.Contains(s.err().Error(), name) {
				t.Errorf("%v does not say %q", s.err(), name)
			}
			if err := s.stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	s := newSupervisor(quiet(), time.Second)
	s.add(part{name: "part", limit: time.Second, stop: func(context.Context) error { panic("stop") }})
	if err := s.stop(t.Context()); !errors.Is(err, ErrPanicked) {
		t.Errorf("%v", err)
	}
}

func TestACancelledStartStopsBetweenSteps(t *testing.T) {
	s := newSupervisor(quiet(), time.Second)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	err := s.start(ctx, "engine", func(context.Context) (stopFunc, error) { t.Error("ran"); return nil, nil })
	if err == nil || !strings.Contains(err.Error(), "before engine: enough") {
		t.Error(err)
	}
}
