package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

// slow gives a node a service whose requests wait until they are let go.
func slow(t *testing.T, n *Node) (running chan struct{}, release chan struct{}) {
	t.Helper()
	running, release = make(chan struct{}, 16), make(chan struct{})
	err := n.server.Handle(wire.ServiceMessaging, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
		running <- struct{}{}
		select {
		case <-release:
			return r.Reply(2, nil)
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	return running, release
}

type answer struct {
	typ wire.MessageType
	err error
}

func ask(p *pwp.Pair) chan answer {
	done := make(chan answer, 1)
	go func() {
		typ, _, err := p.Call(context.Background(), 1, nil, nil)
		done <- answer{typ, err}
	}()
	return done
}

// TestTheDrainFinishesWhatWasTaken: a request that runs when the node is told to stop is answered, a later one is told that
// it was not run, and the page says that the node is not ready.
func TestTheDrainFinishesWhatWasTaken(t *testing.T) {
	n := begin(t, small(t.TempDir()))
	running, release := slow(t, n)
	client := connect(t, n)
	p := open(t, client, wire.ServiceMessaging)
	first := ask(p)
	<-running

	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(context.Background()) }()
	for n.State() != StateDraining || !refusesPairs(t, client) {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	if code, body := get(t, n, "/readyz"); code != 503 || !strings.Contains(body, "the node is draining") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if late := <-ask(p); late.err == nil || errors.Is(late.err, pwp.ErrLost) {
		t.Errorf("a late request: %v", late.err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("it stopped with a request under way: %v", err)
	default:
	}
	close(release)
	if got := <-first; got.err != nil || got.typ != 2 {
		t.Errorf("the request that was taken: %v, %v", got.typ, got.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// refusesPairs reports whether requests on new pairs are refused, as not run.
func refusesPairs(t *testing.T, c *pwp.Client) bool {
	t.Helper()
	p, err := c.Open(t.Context(), wire.ServiceSystem, nil)
	if err == nil {
		_, _, err = p.Call(t.Context(), system.Health, nil, nil)
		_ = p.Close(t.Context())
	}
	if err != nil && !errors.Is(err, pwp.ErrNotRun) {
		t.Fatalf("a new pair: %v", err)
	}
	return err != nil
}

// TestTheDrainIsBounded: a request that never ends is cut when the time is over.
func TestTheDrainIsBounded(t *testing.T) {
	s := small(t.TempDir())
	s.DrainTimeout = 50 * time.Millisecond
	n := begin(t, s)
	running, _ := slow(t, n)
	first := ask(open(t, connect(t, n), wire.ServiceMessaging))
	<-running
	from := time.Now()
	if err := n.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(from); took < s.DrainTimeout || took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := <-first; got.err == nil {
		t.Error("the request was answered")
	}
}

// TestTheServiceManagerIsTold reads what a node says on NOTIFY_SOCKET.
func TestTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	n, err := Start(t.Context(), small(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	heard := func() string {
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 512)
		got, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:got])
	}
	if got := heard(); !strings.HasPrefix(got, "READY=1\nMAINPID=") {
		t.Errorf("%q", got)
	}
	end(t, n)
	if got := heard(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("%q", got)
	}
	if err := notify(filepath.Join(t.TempDir(), "nobody"), "READY=1"); err == nil {
		t.Error("nobody listens, and that is no error")
	}
}

// TestAFailedPartEndsTheNode: Run returns the error of the part, with everything stopped.
func TestAFailedPartEndsTheNode(t *testing.T) {
	broken := errors.New("broken")
	dir := t.TempDir()
	err := Run(t.Context(), small(dir), func(n *Node) {
		n.sup.run("bad", func(context.Context) error { return broken })
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	begin(t, small(dir)) // the directory is free again
	ctx, cancel := context.WithCancel(t.Context())
	if err := Run(ctx, small(t.TempDir()), func(*Node) { cancel() }); err != nil {
		t.Errorf("told to stop: %v", err)
	}
}

// TestAStalledDiskEndsTheProcessAtOnce: Run returns without stopping anything, since that would wait for the disk.
func TestAStalledDiskEndsTheProcessAtOnce(t *testing.T) {
	var n *Node
	err := Run(t.Context(), small(t.TempDir()), func(started *Node) {
		n = started
		n.sup.run("hanging disk", func(context.Context) error { return fmt.Errorf("%w: 10 s", engine.ErrStalled) })
	})
	if !errors.Is(err, engine.ErrStalled) || n.State() != StateReady {
		t.Errorf("%v, state %v", err, n.State())
	}
	end(t, n) // the disk was good after all
}
