package faultfs_test

import (
	"fmt"
	"syscall"

	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// Rules and losses print as what they do, for the messages of the tests that use them. (A test mounts
// the file system by MountTest, starts its program on the directory, and injects rules meanwhile.)
func Example() {
	fs := faultfs.New(&faultfs.Options{Capacity: 1 << 30})
	eio := fs.Inject(faultfs.Rule{Ops: faultfs.OpAnySync, Path: "*.log", After: 3, Times: 1, Err: syscall.EIO})
	stall := fs.Inject(faultfs.Rule{Ops: faultfs.OpWrite, Path: "store/MANIFEST-*"})
	fmt.Println(eio)
	fmt.Println(stall)
	stall.Lift()
	fmt.Println(fs.Image(faultfs.Loss{Data: faultfs.DataTorn, Dirs: faultfs.DirsKept, Seed: 7}))
	// Output:
	// fsync|fdatasync|dirsync of *.log: input/output error, after 3, 1 times
	// write of store/MANIFEST-*: stall
	// data torn, names kept, seed 7: 0 of 0 writes and 0 of 0 name changes kept
}
