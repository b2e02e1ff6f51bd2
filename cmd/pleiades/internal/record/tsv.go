package record

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// tsv reads key, tab, value. Everything is taken as it stands: there are no escapes, and tabs behind the
// first belong to the value. A carriage return in front of the line feed is dropped; empty lines are skipped.
type tsv struct {
	lines  *lines
	key    *Template
	keyBuf []byte
}

func newTSV(ls *lines, key *Template) (*tsv, error) {
	if key != nil {
		for _, p := range key.parts {
			if p.field == "" {
				continue
			}
			if n, err := strconv.Atoi(p.field); err != nil || n < 1 {
				return nil, exit.New(exit.Usage, "name columns by number, from 1: --key '{1}/{3}' or --key-field 2",
					"%w: %q is no column of tab-separated input", base.ErrInvalid, p.field)
			}
		}
	}
	return &tsv{lines: ls, key: key}, nil
}

func (t *tsv) Next() (Record, error) {
	for {
		line, err := t.lines.next()
		n := t.lines.n
		if errors.Is(err, errTooLong) {
			return Record{}, t.lines.tooLong(n, "line")
		}
		if err != nil {
			return Record{}, err
		}
		if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
			continue
		}
		if t.key != nil {
			return t.byColumns(line, n)
		}
		key, value, ok := bytes.Cut(line, []byte{'\t'})
		if !ok {
			return Record{}, badf(n, "no tab between key and value")
		}
		return Record{Line: n, Key: key, Value: value}, nil
	}
}

func (t *tsv) byColumns(line []byte, n int64) (Record, error) {
	columns := bytes.Split(line, []byte{'\t'})
	key, missing := t.key.key(t.keyBuf[:0], func(dst []byte, field string) ([]byte, bool) {
		i, err := strconv.Atoi(field)
		if err != nil || i > len(columns) {
			return dst, false
		}
		return append(dst, columns[i-1]...), true
	})
	t.keyBuf = key
	if missing != "" {
		return Record{}, badf(n, "no column %s: the line has %d", missing, len(columns))
	}
	return Record{Line: n, Key: key, Value: line}, nil
}
