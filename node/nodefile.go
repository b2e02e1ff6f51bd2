package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// fileName is the name of the file in a node's directory by which tools find the node that runs there.
const fileName = "node.json"

// File describes a running node to tools on its machine. It is written when the node is ready and removed when it stops
// in good order; after a crash it stays, see Running.
type File struct {
	PID           int       `json:"pid"`
	NodeID        string    `json:"node_id"`
	Constellation string    `json:"constellation"`
	Listen        string    `json:"listen"`
	Advertise     string    `json:"advertise"`
	Admin         string    `json:"admin,omitempty"`
	CertsDir      string    `json:"certs_dir"`
	Started       time.Time `json:"started"`
}

// Running returns the node that runs in dir. ErrNotRunning when there is none, also when one has crashed there.
func Running(dir string) (*File, error) {
	path := filepath.Join(dir, fileName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotRunning, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	var f File
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %s is unreadable: %w", ErrNotRunning, path, err)
	}
	if f.PID <= 0 || errors.Is(unix.Kill(f.PID, 0), unix.ESRCH) {
		return nil, fmt.Errorf("%w: the node in %s (pid %d) is gone", ErrNotRunning, dir, f.PID)
	}
	return &f, nil
}

// write puts the file into dir, whole or not at all.
func (f *File) write(dir string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, fileName+".new")
	if err := os.WriteFile(temp, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if err := os.Rename(temp, filepath.Join(dir, fileName)); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

func removeFile(dir string) error {
	if err := os.Remove(filepath.Join(dir, fileName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}
