package crashtest

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/engine"
)

// childEnv names the program that the test binary shall be instead of running tests. Its arguments are
// the directory, a seed, and how much there is to do.
const childEnv = "PLEIADES_CRASH_CHILD"

// children are the programs whose crashes are tested.
var children = map[string]func(dir string, seed uint64, ops int) error{
	"engine":    engineChild,
	"unsynced":  unsyncedChild,
	"versioned": versionedChild,
	"reopen":    reopenChild,
	"shell":     shellChild,
}

var (
	statesFlag = flag.Int("states", defaultStates, "how many crash states to verify, over all workloads")
	seedFlag   = flag.Uint64("seed", 0, "seed of workloads and losses; 0 takes one from the clock")
)

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := runChild(name, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		fmt.Println("done")
		select {} // until it is killed
	}
	goleak.VerifyTestMain(m)
}

func runChild(name string, args []string) error {
	run, ok := children[name]
	if !ok || len(args) != 3 {
		return fmt.Errorf("no child %q of %d arguments", name, len(args))
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	ops, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	return run(args[0], seed, ops)
}

// child returns the command that runs a child.
func child(name string, seed uint64, ops int) func(dir string) *exec.Cmd {
	return func(dir string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], dir, strconv.FormatUint(seed, 10), strconv.Itoa(ops))
		cmd.Env = append(os.Environ(), childEnv+"="+name)
		return cmd
	}
}

// seed returns the run's seed and prints it.
func seed(t testing.TB) uint64 {
	s := *seedFlag
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (repeat with -seed=%d; what writers do is repeated, how they interleave is not)", s, s)
	return s
}

// smallOptions makes flushes, compactions and changes of the log frequent.
func smallOptions() *engine.Options {
	return &engine.Options{
		BlockCacheBytes: 8 << 20, MemtableBytes: 4 << 20, ShardMemtableBytes: 64 << 10,
		MaxWALBytes: 1 << 20, ReserveBytes: -1, DiskFullPercent: 99, DiskFullFreeBytes: 1 << 20,
		BackgroundJobs: 2, Logger: slog.New(slog.DiscardHandler),
	}
}
