package terminal

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIs(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if Is(f) {
		t.Error("a file is no terminal")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if Is(f) {
		t.Error("a closed file is no terminal")
	}
	tty, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skip("no terminal to ask: ", err)
	}
	if !Is(tty) {
		t.Error("a terminal is one")
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
}
