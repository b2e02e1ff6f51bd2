package crashtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// A shell is a child process that holds an engine on a faultfs mount and does what the test tells it,
// several things at a time, so that the test can do something to the disk between and meanwhile.
//
//	test -> child:  id command arguments...
//	child -> test:  id answer          "ok ..." or "err class,class: text"
//	                event text         what Watch reported

// classes are the markers by which the test tells errors apart.
var classes = []struct {
	name string
	err  error
}{
	{"diskfull", engine.ErrDiskFull},
	{"unknown", engine.ErrUnknownOutcome},
	{"notwritten", engine.ErrNotWritten},
	{"stalled", engine.ErrStalled},
	{"corruption", engine.ErrCorruption},
	{"notfound", engine.ErrNotFound},
	{"overloaded", base.ErrOverloaded},
}

// The limits of the shell's engine: with less than this many bytes free its disk counts as full.
const (
	shellReserve  = 2 << 20
	shellFreeFull = 4 << 20
)

func shellOptions() *engine.Options {
	o := smallOptions()
	o.ReserveBytes, o.DiskFullPercent, o.DiskFullFreeBytes = shellReserve, 10, shellFreeFull
	return o
}

// shellServer is the child's side.
type shellServer struct {
	e  *engine.Engine
	sh *engine.Shard
	mu sync.Mutex // of standard output
}

func (s *shellServer) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

// shellChild serves until its input ends.
func shellChild(dir string, _ uint64, _ int) error {
	s := &shellServer{}
	var err error
	if s.e, err = engine.Open(filepath.Join(dir, "store"), shellOptions()); err != nil {
		s.say("event %s", answer("", err))
		return err
	}
	if s.sh, err = s.e.EnsureShard(context.Background(), 1001); err != nil {
		return err
	}
	s.say("event open")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		id, command, _ := strings.Cut(in.Text(), " ")
		go func() { s.say("%s %s", id, answer(s.run(strings.Fields(command)))) }()
	}
	return io.EOF
}

// answer puts a result into one line.
func answer(result string, err error) string {
	if err == nil {
		return strings.TrimSpace("ok " + result)
	}
	var names []string
	for _, c := range classes {
		if errors.Is(err, c.err) {
			names = append(names, c.name)
		}
	}
	return fmt.Sprintf("err %s: %s", strings.Join(names, ","), strings.ReplaceAll(err.Error(), "\n", " "))
}

func (s *shellServer) run(args []string) (string, error) {
	ctx := context.Background()
	switch args[0] {
	case "put":
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return "", err
		}
		value := make([]byte, n)
		_, _ = rand.Read(value) // never fails; what compresses would not fill a disk
		return "", s.commit(engine.Sync, func(b *engine.Batch) error { return b.Put(s.sh, []byte(args[1]), value) })
	case "clone":
		_, err := s.e.StageClone(ctx, s.sh, 1005)
		return "", err
	case "ranges":
		return "", s.commit(engine.NoSync, func(b *engine.Batch) error { return b.DeleteRange(s.sh, []byte("x"), []byte("y")) })
	case "spread":
		return "", s.spread(ctx, args[1], args[2])
	case "unsynced":
		return "", s.commit(engine.NoSync, func(b *engine.Batch) error { return b.Put(s.sh, []byte(args[1]), []byte(args[1])) })
	case "reclaim":
		return "", s.commit(engine.Sync|engine.Reclaim, func(b *engine.Batch) error { return b.Delete(s.sh, []byte(args[1])) })
	case "get":
		v, err := s.sh.Get(nil, []byte(args[1]), nil)
		return strconv.Itoa(len(v)), err
	case "flush":
		return "", s.sh.Flush(ctx)
	case "compact":
		return "", s.sh.Compact(ctx, nil, nil)
	case "err":
		return "", s.e.Err()
	case "watch":
		return "", s.e.Watch(ctx, &engine.WatchOptions{
			Interval: 10 * time.Millisecond, StallAfter: 100 * time.Millisecond, FatalAfter: 3 * time.Second,
			OnStall: func(time.Duration) { s.say("event stall") }, OnRecover: func() { s.say("event recover") },
		})
	case "close":
		return "", s.e.Close()
	}
	return "", fmt.Errorf("no such command: %q", args)
}

// spread writes a value of so many bytes to each of four shards in one unsynced batch.
func (s *shellServer) spread(ctx context.Context, key, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	shards := []*engine.Shard{s.sh}
	for id := engine.ShardID(1002); id <= 1004; id++ {
		sh, err := s.e.EnsureShard(ctx, id)
		if err != nil {
			return err
		}
		shards = append(shards, sh)
	}
	value := make([]byte, n)
	_, _ = rand.Read(value) // never fails
	return s.commit(engine.NoSync, func(b *engine.Batch) error {
		for _, sh := range shards {
			if err := b.Put(sh, []byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shellServer) commit(mode engine.CommitMode, fill func(b *engine.Batch) error) error {
	b := s.e.NewBatch()
	defer b.Close()
	if err := fill(b); err != nil {
		return err
	}
	return s.e.Commit(context.Background(), b, mode)
}

// shell is the test's side.
type shell struct {
	t      *testing.T
	in     io.WriteCloser
	cmd    *exec.Cmd
	events chan string

	mu      sync.Mutex
	lastID  int
	waiting map[string]chan string
	ended   chan struct{}
}

// startShell starts the child on dir. It is killed with the test.
func startShell(t *testing.T, dir string) *shell {
	t.Helper()
	s := &shell{
		t: t, cmd: child("shell", 0, 0)(dir), events: make(chan string, 100),
		waiting: map[string]chan string{}, ended: make(chan struct{}),
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			id, text, _ := strings.Cut(lines.Text(), " ")
			if id == "event" {
				s.events <- text
				continue
			}
			s.mu.Lock()
			ch := s.waiting[id]
			s.mu.Unlock()
			ch <- text
		}
	}()
	t.Cleanup(s.kill)
	return s
}

// kill ends the child like kill -9 does. It may be called more than once.
func (s *shell) kill() {
	_ = s.cmd.Process.Kill() // it may be gone already
	<-s.ended
	_ = s.cmd.Wait()
}

// begin sends a command and returns where its answer will come.
func (s *shell) begin(format string, args ...any) <-chan string {
	s.t.Helper()
	ch := make(chan string, 1)
	s.mu.Lock()
	s.lastID++
	id := strconv.Itoa(s.lastID)
	s.waiting[id] = ch
	s.mu.Unlock()
	if _, err := fmt.Fprintf(s.in, "%s %s\n", id, fmt.Sprintf(format, args...)); err != nil {
		s.t.Fatalf("the child takes no commands: %v", err)
	}
	return ch
}

// patience is how long the child may take for anything.
const patience = 30 * time.Second

func (s *shell) wait(ch <-chan string, what string) string {
	s.t.Helper()
	select {
	case text := <-ch:
		return text
	case <-s.ended:
		s.t.Fatalf("%s: the child has ended", what)
	case <-time.After(patience):
		s.t.Fatalf("%s: nothing in %v", what, patience)
	}
	return ""
}

// do sends a command and returns its answer.
func (s *shell) do(format string, args ...any) string {
	s.t.Helper()
	return s.wait(s.begin(format, args...), fmt.Sprintf(format, args...))
}

// want does a command whose answer must begin like this.
func (s *shell) want(begin, format string, args ...any) string {
	s.t.Helper()
	got := s.do(format, args...)
	if !strings.HasPrefix(got, begin) {
		s.t.Fatalf("%s: %q, want %q", fmt.Sprintf(format, args...), got, begin)
	}
	return got
}

// event waits for an event that begins like this.
func (s *shell) event(begin string) {
	s.t.Helper()
	if got := s.wait(s.events, "event "+begin); !strings.HasPrefix(got, begin) {
		s.t.Fatalf("event %q, want %q", got, begin)
	}
}

// openShell mounts a disk of so many bytes and starts a shell on it.
func openShell(t *testing.T, capacity int64) (*shell, *faultfs.FS, string) {
	t.Helper()
	fs, dir := faultfs.MountTest(t, &faultfs.Options{Capacity: capacity})
	s := startShell(t, dir)
	s.event("open")
	return s, fs, dir
}
