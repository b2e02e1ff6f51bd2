package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// childEnv names the child that the test binary shall be instead of running tests; the store's
// directory is its last argument.
const childEnv = "PLEIADES_ENGINE_TEST_CHILD"

// children are the programs of the crash tests.
var children = map[string]func(dir string){
	"writer": childWriter,
	"holder": childHolder,
	"full":   childFull,
}

// startChild runs a child on dir.
func startChild(t *testing.T, name, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // already gone in most tests
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

func childCheck(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// childWriter writes synced batches over two shards for ever and prints each number once acknowledged.
func childWriter(dir string) {
	e, err := Open(dir, smallOptions())
	childCheck(err)
	ctx := context.Background()
	a, err := e.EnsureShard(ctx, 1001)
	childCheck(err)
	b, err := e.EnsureShard(ctx, 1002)
	childCheck(err)
	it, err := a.NewIterator(nil)
	childCheck(err)
	next := 0
	if it.Last() {
		next, err = strconv.Atoi(string(it.Key()))
		childCheck(err)
		next++
	}
	childCheck(it.Close())
	for n := next; ; n++ {
		key := fmt.Appendf(nil, "%09d", n)
		batch := e.NewBatch()
		childCheck(batch.Put(a, key, key))
		childCheck(batch.Put(b, key, append(key, make([]byte, n%5000)...)))
		childCheck(e.Commit(ctx, batch, Sync))
		batch.Close()
		fmt.Println(n)
	}
}

// childHolder holds a directory until it is killed.
func childHolder(dir string) {
	_, err := Open(dir, smallOptions())
	childCheck(err)
	fmt.Println("open")
	select {}
}
