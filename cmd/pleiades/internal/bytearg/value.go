package bytearg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// MaxValueBytes is the longest value that is read from a file or standard input; the store's own limit
// may be lower and is checked by the store.
const MaxValueBytes = 16 << 20

// Value returns the bytes of a value argument: what Parse knows, - for stdin, @FILE for a file's
// contents. Input longer than MaxValueBytes is refused before it is all in memory.
func Value(arg string, stdin io.Reader) ([]byte, error) {
	if arg == "-" {
		return readLimited(stdin, "standard input")
	}
	name, isFile := strings.CutPrefix(arg, "@")
	if !isFile {
		return Parse(arg)
	}
	if name == "" {
		return nil, malformed(arg, "a file name belongs behind the @")
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.WithFix(err, `check the path; for the literal text write: "`+shellSafe(quoted([]byte(arg)))+`"`)
	}
	if err != nil {
		return nil, err
	}
	b, err := readLimited(f, name)
	return b, errors.Join(err, f.Close())
}

func readLimited(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxValueBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the value from %s: %w", name, err)
	}
	if len(b) > MaxValueBytes {
		return nil, exit.New(exit.Usage, "store it in pieces under several keys",
			"the value in %s is longer than the %d MiB a value may have", name, MaxValueBytes>>20)
	}
	return b, nil
}
