package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/net/certs"
)

// beNode names the directory of the node that the test's binary is to be.
const (
	beNode       = "PLEIADES_TEST_BE_NODE"
	beNodeListen = "PLEIADES_TEST_BE_NODE_LISTEN"
)

// runChild is the child process: a node until SIGTERM.
func runChild(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := small(dir)
	s.Listen, s.Admin = os.Getenv(beNodeListen), adminOff
	if err := Run(ctx, s, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a node in a process of its own.
type child struct {
	t           *testing.T
	dir, listen string
	cmd         *exec.Cmd
}

func newChild(t *testing.T) *child {
	t.Helper()
	free, err := net.ListenPacket("udp", "127.0.0.1:0") // a port that is free now, and stays the node's over its restarts
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	c := &child{t: t, dir: t.TempDir(), listen: free.LocalAddr().String()}
	t.Cleanup(func() {
		if c.cmd != nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	return c
}

// start starts the process and waits until it is ready.
func (c *child) start() {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(c.dir, fileName))
	c.cmd = exec.Command(self)
	c.cmd.Env = append(os.Environ(), beNode+"="+c.dir, beNodeListen+"="+c.listen)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ready := time.NewTicker(10 * time.Millisecond)
	defer ready.Stop()
	for {
		if f, err := Running(c.dir); err == nil && f.PID == c.cmd.Process.Pid {
			return
		}
		select {
		case <-ready.C:
		case <-c.t.Context().Done():
			c.t.Fatal("the child is not ready")
		}
	}
}

// end sends a signal and waits for the end.
func (c *child) end(sig os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
	err := c.cmd.Wait()
	c.cmd = nil
	if sig == syscall.SIGTERM && err != nil {
		c.t.Errorf("SIGTERM: %v", err)
	}
}

// TestNothingAcknowledgedIsLost writes from several goroutines while the node is told to stop, and killed, again and again.
// The clients' retries carry every write through: each key ends with exactly the versions that were put, in their order.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	const writers, rounds, perRound = 8, 4, 150
	node := newChild(t)
	node.start()
	source, err := certs.Open(filepath.Join(node.dir, "certs"), certs.ClientLeaf(certs.DefaultClient), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	c, err := client.Open(t.Context(), []string{node.listen}, &client.Options{
		Certs: source, RetryFor: 2 * time.Minute, DialTimeout: 250 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bucket := c.Bucket("")

	var acknowledged atomic.Int64
	progress := make(chan struct{}, 1)
	stop := make(chan struct{})
	counts := make([]int, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					counts[w] = i
					return
				default:
				}
				key := fmt.Appendf(nil, "w%d/%d", w, i/50)
				if _, err := bucket.Put(t.Context(), key, fmt.Appendf(nil, "%d", i), nil); err != nil {
					t.Errorf("writer %d, put %d: %v", w, i, err)
					counts[w] = i
					return
				}
				acknowledged.Add(1)
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	for round := range rounds {
		for goal := acknowledged.Load() + perRound; acknowledged.Load() < goal; {
			select {
			case <-progress:
			case <-t.Context().Done():
				t.Fatal("the writers do not get on")
			}
		}
		sig := os.Signal(syscall.SIGTERM)
		if round%2 == 1 {
			sig = syscall.SIGKILL
		}
		node.end(sig)
		node.start()
	}
	close(stop)
	wg.Wait()

	total := 0
	for w, n := range counts {
		total += n
		for first := 0; first < n; first += 50 {
			key, want := fmt.Appendf(nil, "w%d/%d", w, first/50), min(n, first+50)-1
			for v, err := range bucket.History(t.Context(), key, &client.HistoryOptions{Values: true}) {
				if err != nil || string(v.Data) != fmt.Sprint(want) {
					t.Fatalf("%s: version %d is %q, %v; want %d", key, v.Version, v.Data, err, want)
				}
				want--
			}
			if want != first-1 {
				t.Errorf("%s: the history ends at %d, want %d", key, want+1, first)
			}
		}
	}
	m := c.Metrics()
	t.Logf("%d puts, %d retries, %d connections, %d sessions", total, m.Retries, m.Connections, m.Sessions)
	if total < rounds*perRound || m.Connections < rounds+1 {
		t.Errorf("%d puts over %d connections: too few to prove anything", total, m.Connections)
	}
}
