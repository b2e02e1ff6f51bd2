package record

import (
	"bufio"
	"errors"
	"io"
)

// lines reads lines of at most max bytes and counts them.
type lines struct {
	r   *bufio.Reader
	max int
	n   int64
	buf []byte
}

// errTooLong says that a line was longer than max; it has been skipped to its end.
var errTooLong = errors.New("too long")

// next returns the next line without its line feed, and its number in l.n. A last line without a line
// feed counts; nothing behind the last line feed does not. The slice is valid until the next call.
func (l *lines) next() ([]byte, error) {
	chunk, err := l.r.ReadSlice('\n')
	if err == nil && len(chunk)-1 <= l.max {
		l.n++
		return chunk[:len(chunk)-1], nil
	}
	if errors.Is(err, io.EOF) && len(chunk) == 0 {
		return nil, io.EOF
	}
	l.n++
	l.buf = l.buf[:0]
	long := false
	for {
		if len(l.buf)+len(chunk) > l.max+1 {
			long = true
		}
		if !long {
			l.buf = append(l.buf, chunk...)
		}
		if err == nil || errors.Is(err, io.EOF) {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		chunk, err = l.r.ReadSlice('\n')
	}
	line := l.buf
	if n := len(line); !long && n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if long || len(line) > l.max {
		return nil, errTooLong
	}
	return line, nil
}

// tooLong is the Bad of a line or stanza that begins at line.
func (l *lines) tooLong(line int64, what string) error {
	return badf(line, "the %s is longer than %d bytes", what, l.max)
}
