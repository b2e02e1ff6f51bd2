package record

import (
	"bufio"
	"fmt"
	"io"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/internal/dump"
)

// DefaultMaxBytes bounds one line or stanza: a value of 16 MiB in which every byte is escaped in JSON as \u00XX.
const DefaultMaxBytes = 6*(16<<20) + 128<<10

// Record is one key with one value.
type Record struct {
	// Line is where the record begins, counted from 1; in a dump it is the number of the record.
	Line int64
	// Key and Value alias the Source's buffers.
	Key, Value []byte
	// Version is set by a dump only: what else is known of this version.
	Version *dump.Version
}

// Bad says that one record cannot be loaded. Those behind it can.
type Bad struct {
	Line int64
	Err  error
}

// Error names the line.
func (b *Bad) Error() string { return fmt.Sprintf("line %d: %v", b.Line, b.Err) }

// Unwrap returns the reason.
func (b *Bad) Unwrap() error { return b.Err }

func badf(line int64, format string, args ...any) error {
	return &Bad{Line: line, Err: fmt.Errorf("%w: "+format, append([]any{base.ErrInvalid}, args...)...)}
}

// Source is an input.
type Source interface {
	// Next returns the next record, a *Bad, io.EOF or a final error.
	Next() (Record, error)
}

// Format names an input format.
type Format string

// The formats that --format takes; part of the interface.
const (
	Guess Format = ""
	JSONL Format = "jsonl"
	TSV   Format = "tsv"
	Deb   Format = "deb"
	Dump  Format = "dump"
)

// Options say how an input is read. The zero value reads what Guess finds with each format's own keys.
type Options struct {
	// Format is one of the above; Guess looks at the first bytes.
	Format Format
	// Key makes the key out of the record's fields; nil is the format's own rule.
	Key *Template
	// ValueField is the JSON field that holds the value; empty is "value", or the whole line with Key.
	ValueField string
	// MaxBytes bounds a line or stanza; 0 is DefaultMaxBytes.
	MaxBytes int
}

// Open returns a Source on r and the format it reads. What cannot be told by looking at it, and options
// that the format does not have, are usage errors.
func Open(r io.Reader, opt Options) (Source, Format, error) {
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = DefaultMaxBytes
	}
	br := bufio.NewReaderSize(r, 256<<10)
	format := opt.Format
	if format == Guess {
		var err error
		if format, err = guess(br); err != nil {
			return nil, "", err
		}
	}
	if opt.ValueField != "" && format != JSONL {
		return nil, "", exit.New(exit.Usage, "leave --value-field out", "%w: %s input has no fields to choose a value from", base.ErrInvalid, format)
	}
	ls := &lines{r: br, max: opt.MaxBytes}
	switch format {
	case JSONL:
		return &jsonl{lines: ls, key: opt.Key, valueField: opt.ValueField}, format, nil
	case TSV:
		src, err := newTSV(ls, opt.Key)
		return src, format, err
	case Deb:
		if opt.Key == nil {
			opt.Key = &Template{parts: []part{{field: "Package"}}}
		}
		return &deb{lines: ls, key: opt.Key}, format, nil
	case Dump:
		if opt.Key != nil {
			return nil, "", exit.New(exit.Usage, "leave --key and --key-field out", "%w: a dump has its own keys", base.ErrInvalid)
		}
		d, err := dump.NewReader(br)
		if err != nil {
			return nil, "", err
		}
		return &dumped{r: d}, format, nil
	default:
		return nil, "", exit.New(exit.Usage, "use --format jsonl, tsv, deb or dump", "%w: %q is no input format", base.ErrInvalid, format)
	}
}

// DumpHeader returns the header of a dump; ok is false for other sources.
func DumpHeader(src Source) (h dump.Header, ok bool) {
	d, ok := src.(*dumped)
	if !ok {
		return h, false
	}
	return d.r.Header(), true
}

// dumped adapts a dump to Source. A damaged dump cannot be read on: nothing in it is a Bad.
type dumped struct {
	r *dump.Reader
	n int64
}

func (d *dumped) Next() (Record, error) {
	v, err := d.r.Next()
	if err != nil {
		return Record{}, err
	}
	d.n++
	return Record{Line: d.n, Key: v.Key, Value: v.Value, Version: v}, nil
}
