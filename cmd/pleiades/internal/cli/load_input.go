package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// loadInput is the file or stream that is loaded. It counts what was read, can be read again from its
// start once, and its reads end with ctx.
type loadInput struct {
	// name tells inputs apart: the file's absolute path, or "-".
	name string
	// size is 0 when nobody knows it.
	size int64
	read int64

	file  *os.File // nil for standard input
	pipe  io.Reader
	spool *os.File // what was read of standard input, while it may be needed again
}

// openInput opens a file, or standard input for "-".
func (a *App) openInput(ctx context.Context, arg string) (*loadInput, error) {
	if arg == "-" {
		return &loadInput{name: "-", pipe: a.input(ctx)}, nil
	}
	name, err := filepath.Abs(arg)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(arg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exit.WithFix(err, "check the path; - reads standard input")
	}
	if err != nil {
		return nil, err
	}
	in := &loadInput{name: name, file: f}
	st, err := f.Stat()
	switch {
	case err == nil && st.IsDir():
		return nil, errors.Join(exit.New(exit.Usage, "name a file in it; - reads standard input", "%w: %s is a directory", base.ErrInvalid, arg), f.Close())
	case err == nil && st.Mode().IsRegular():
		in.size = st.Size()
	default:
		// Something like a named pipe: it cannot be read twice, and reading it can block.
		in.pipe = &waiter{ctx: ctx, r: f}
	}
	return in, nil
}

// keep makes Rewind possible: from now on standard input is copied to a temporary file.
func (in *loadInput) keep() error {
	if in.pipe == nil {
		return nil
	}
	var err error
	if in.spool, err = os.CreateTemp("", "pleiades-load-"); err != nil {
		return fmt.Errorf("keeping standard input for a second reading: %w", err)
	}
	// The file lives as long as it is open, and no crash leaves it behind.
	return os.Remove(in.spool.Name())
}

// rewind goes back to the start of the input.
func (in *loadInput) rewind() error {
	in.read = 0
	if in.pipe == nil {
		_, err := in.file.Seek(0, io.SeekStart)
		return err
	}
	if _, err := in.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in.pipe, in.spool = io.MultiReader(in.spool, in.pipe), nil // closed by the kernel with the process
	return nil
}

// settle says that rewind will not be called any more.
func (in *loadInput) settle() error {
	if in.spool == nil {
		return nil
	}
	err := in.spool.Close()
	in.spool = nil
	return err
}

// Read implements io.Reader.
func (in *loadInput) Read(p []byte) (n int, err error) {
	if in.pipe == nil {
		n, err = in.file.Read(p)
	} else if n, err = in.pipe.Read(p); in.spool != nil && n > 0 {
		if _, werr := in.spool.Write(p[:n]); werr != nil {
			return 0, fmt.Errorf("keeping standard input for a second reading: %w", werr)
		}
	}
	in.read += int64(n)
	return n, err
}

// Close closes what openInput opened.
func (in *loadInput) Close() error {
	err := in.settle()
	if in.file != nil {
		err = errors.Join(err, in.file.Close())
	}
	return err
}

// input is standard input; reads from it end with ctx.
func (a *App) input(ctx context.Context) io.Reader { return &waiter{ctx: ctx, r: a.In} }

// waiter reads from something that may block for ever, and stops waiting when ctx ends. The goroutine of
// a read that nobody waits for any more ends with the read or the process.
type waiter struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte
	done chan waited
}

// waited is the outcome of one read.
type waited struct {
	b   []byte
	err error
}

// Read implements io.Reader.
func (w *waiter) Read(p []byte) (int, error) {
	if len(w.buf) == 0 {
		if err := w.ctx.Err(); err != nil {
			return 0, err
		}
		if w.done == nil {
			w.done = make(chan waited, 1)
			go func(done chan<- waited) {
				b := make([]byte, 256<<10)
				n, err := w.r.Read(b)
				done <- waited{b[:n], err}
			}(w.done)
		}
		select {
		case got := <-w.done:
			w.done = nil
			if w.buf = got.b; len(w.buf) == 0 {
				return 0, got.err
			}
			if got.err != nil {
				w.r = failed{got.err}
			}
		case <-w.ctx.Done():
			return 0, w.ctx.Err()
		}
	}
	n := copy(p, w.buf)
	w.buf = w.buf[n:]
	return n, nil
}

// failed is a reader that is at its end.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
