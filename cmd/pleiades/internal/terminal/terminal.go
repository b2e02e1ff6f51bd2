package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// Is reports whether f is a terminal. A file descriptor that cannot be asked is none.
func Is(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
