package contexts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shieldmaidens/pleiades/base"
)

// HomeEnv is the variable that moves the directory of all contexts.
const HomeEnv = "PLEIADES_CONFIG_HOME"

// maxFileBytes bounds a context's file; no honest one comes near.
const maxFileBytes = 64 << 10

// Home returns the directory that holds the contexts of this person. env is os.LookupEnv, or a test's. Error: ErrNotFound
// when nothing says where it is.
func Home(env func(string) (string, bool)) (string, error) {
	get := func(name string) string { v, _ := env(name); return v }
	if dir := get(HomeEnv); dir != "" {
		return dir, nil
	}
	if dir := get("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pleiades"), nil
	}
	if dir := get("HOME"); dir != "" {
		return filepath.Join(dir, ".config", "pleiades"), nil
	}
	return "", fmt.Errorf("%w: neither %s nor HOME is set", ErrNotFound, HomeEnv)
}

// Path returns where the context of that name is kept.
func Path(home, name string) string { return filepath.Join(home, "contexts", name+".toml") }

// Read returns the context of that name; an empty name is the current one. Errors: ErrNotFound, ErrInvalid, those of
// reading files.
func Read(home, name string) (*Context, error) {
	if name == "" {
		current, err := Current(home)
		if err != nil {
			return nil, err
		}
		if current == "" {
			return nil, fmt.Errorf("%w: none is current in %s", ErrNotFound, home)
		}
		name = current
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	path := Path(home, name)
	b, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, path)
	}
	if err != nil {
		return nil, err
	}
	return parse(name, path, b)
}

// Write makes or replaces a context's file. An empty User is left out. Errors: ErrInvalid, those of writing files.
func Write(home string, c *Context) error {
	if err := c.check(); err != nil {
		return err
	}
	return replace(Path(home, c.Name), c.encode())
}

// Remove removes a context; when it was the current one, none is. Error: ErrNotFound.
func Remove(home, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := os.Remove(Path(home, name)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s", ErrNotFound, Path(home, name))
		}
		return err
	}
	if current, err := Current(home); err == nil && current == name {
		return os.Remove(filepath.Join(home, "current"))
	}
	return nil
}

// List returns the names of all contexts, sorted. A missing directory holds none.
func List(home string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(home, "contexts"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".toml"); ok && checkName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Current returns the name of the context that holds when nobody says which; empty when there is none.
func Current(home string) (string, error) {
	path := filepath.Join(home, "current")
	b, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(b))
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return name, nil
}

// SetCurrent makes a context the current one. Error: ErrNotFound when there is none of that name.
func SetCurrent(home, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, err := os.Stat(Path(home, name)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s", ErrNotFound, Path(home, name))
		}
		return err
	}
	return replace(filepath.Join(home, "current"), []byte(name+"\n"))
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrInvalid, path, maxFileBytes)
	}
	return b, nil
}

// replace puts content at path, whole or not at all.
func replace(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return markPermission(err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return markPermission(err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

func markPermission(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", base.ErrPermission, err)
	}
	return err
}
