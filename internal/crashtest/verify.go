package crashtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Tally says what a verification has really done.
type Tally struct {
	// States were checked, of which Failed failed.
	States, Failed int
	// Lossy is how many states lacked something that the program had written, Killed how many were those
	// of a killed process on a living machine.
	Lossy, Killed int
	// Refused is how many states the check answered with ErrRefused. They are not in States.
	Refused int
	// LostWrites and LostNames add up what the states lacked.
	LostWrites, LostNames int
}

// Add adds another verification up.
func (t *Tally) Add(o Tally) {
	t.States += o.States
	t.Failed += o.Failed
	t.Lossy += o.Lossy
	t.Killed += o.Killed
	t.Refused += o.Refused
	t.LostWrites += o.LostWrites
	t.LostNames += o.LostNames
}

// ErrRefused is what a check returns for a state that the program refuses to work on, rightly and with a
// clear error, so that nothing could be compared. It counts neither as failed nor as checked.
var ErrRefused = errors.New("crashtest: the state was refused")

// maxFailures is after how many failed states a verification gives up.
const maxFailures = 5

// Verify writes each state into a directory of its own and calls check, a few states at a time. It
// reports every failure as an error of the test, up to five, and returns what was done. The directory
// of the first failure is kept and named.
func Verify(t testing.TB, states []*State, check func(dir string, s *State) error) Tally {
	t.Helper()
	scratch := scratchDir(t)
	work := make(chan *State)
	var tally struct {
		sync.Mutex
		Tally
		kept string
	}
	var failed atomic.Int32
	one := func(s *State) {
		dir := filepath.Join(scratch, fmt.Sprintf("state-%d", s.Number))
		err := s.Image.WriteTo(dir, ".")
		if err == nil {
			err = check(dir, s)
		}
		tally.Lock()
		defer tally.Unlock()
		keep := false
		refused := errors.Is(err, ErrRefused)
		if err != nil && !refused {
			failed.Add(1)
			tally.Failed++
			if keep = tally.kept == ""; keep {
				tally.kept = keepDir(t, s, dir)
			}
			t.Errorf("%v\nacknowledged: %v\n%v", s, s.Acks, err)
		}
		if rerr := os.RemoveAll(dir); rerr != nil {
			t.Errorf("crashtest: %v", rerr)
		}
		if refused {
			tally.Refused++
			return
		}
		tally.States++
		data, names := s.Image.Lost()
		if data+names > 0 {
			tally.Lossy++
		}
		if s.Killed() {
			tally.Killed++
		}
		tally.LostWrites += data
		tally.LostNames += names
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 4) {
		workers.Go(func() {
			for s := range work {
				one(s)
			}
		})
	}
	for _, s := range states {
		if failed.Load() >= maxFailures {
			t.Errorf("crashtest: gave up after %d failures", maxFailures)
			break
		}
		work <- s
	}
	close(work)
	workers.Wait()
	if tally.kept != "" {
		t.Logf("crashtest: the first failed state, as the crash left it, is kept in %s", tally.kept)
	}
	return tally.Tally
}

// keepDir writes a failed state once more, untouched by the check, where it outlives the test.
func keepDir(t testing.TB, s *State, dir string) string {
	t.Helper()
	kept, err := os.MkdirTemp("", "pleiades-crash-*")
	if err == nil {
		err = s.Image.WriteTo(filepath.Join(kept, filepath.Base(dir)), ".")
	}
	if err != nil {
		t.Logf("crashtest: the failed state could not be kept: %v", err)
	}
	return kept
}

// scratchDir is in memory where possible: a state is a few megabytes, written, read once and removed.
func scratchDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pleiades-crash-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("crashtest: %v", err)
		}
	})
	return dir
}
