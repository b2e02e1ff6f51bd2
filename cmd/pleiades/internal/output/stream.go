package output

import (
	"bufio"
	"errors"
	"io"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// Options say how a Printer writes.
type Options struct {
	// Format is what -o said; Auto lets the terminal decide.
	Format Format
	// Terminal is true when the writer is a terminal: tables instead of jsonl, values made printable.
	Terminal bool
	// Color allows bold heads on a terminal.
	Color bool
}

// Printer writes the results of one command to one writer, buffered: Close or Flush before the process ends.
type Printer struct {
	w   *bufio.Writer
	opt Options
}

// NewPrinter returns a Printer on w.
func NewPrinter(w io.Writer, opt Options) *Printer {
	return &Printer{w: bufio.NewWriterSize(w, 64<<10), opt: opt}
}

// Format returns the form in which a stream is written.
func (p *Printer) Format() Format {
	if p.opt.Format != Auto {
		return p.opt.Format
	}
	if p.opt.Terminal {
		return Table
	}
	return JSONL
}

// Flush hands everything to the writer.
func (p *Printer) Flush() error { return p.w.Flush() }

// Line writes text and a line break: the short answer of a command like put, for people and for raw.
func (p *Printer) Line(text string) error {
	_, err := p.w.WriteString(text + "\n")
	return err
}

// Structured reports whether -o asks for fields instead of a command's short answer.
func (p *Printer) Structured() bool {
	return p.opt.Format != Auto && p.opt.Format != Raw
}

// Object writes one row. Without -o it is a table, on a terminal or not.
func (p *Printer) Object(r Row) error {
	var b []byte
	switch p.opt.Format {
	case JSON:
		b = append(appendJSON(nil, r, 0), '\n')
	case JSONL:
		b = append(appendJSON(nil, r, -1), '\n')
	case YAML:
		b = appendYAML(nil, r, 0)
	default:
		b = object(nil, r, "", p.opt.Color && p.opt.Terminal)
	}
	_, err := p.w.Write(b)
	return err
}

// Value writes a value's own bytes and nothing else, so that a redirected value is what was stored. On a
// terminal a value that could move the cursor is shown escaped, and a line break follows.
func (p *Printer) Value(b []byte, show func([]byte) string) error {
	if !p.opt.Terminal || p.opt.Format == Raw {
		_, err := p.w.Write(b)
		return err
	}
	s := show(b)
	if len(s) == 0 || s[len(s)-1] != '\n' {
		s += "\n"
	}
	_, err := p.w.WriteString(s)
	return err
}

// Stream starts a list of rows; raw says which field of each row is written by -o raw, followed by a line
// break (empty: the form has no raw and -o raw is a usage error).
func (p *Printer) Stream(raw string) (*Stream, error) {
	s := &Stream{p: p, format: p.Format(), raw: raw}
	if s.format == Raw && raw == "" {
		return nil, exit.New(exit.Usage, "use -o jsonl", "this command has no raw form")
	}
	if s.format == Table {
		s.table = &table{w: p.w, bold: p.opt.Color && p.opt.Terminal}
	}
	return s, nil
}

// Stream writes rows one after the other.
type Stream struct {
	p      *Printer
	format Format
	raw    string
	table  *table
	rows   int
	buf    []byte
	err    error
}

// Row writes one row; all rows of a stream have the same fields. r is not kept.
func (s *Stream) Row(r Row) error {
	if s.err != nil {
		return s.err
	}
	s.err = s.row(r)
	s.rows++
	return s.err
}

func (s *Stream) row(r Row) error {
	b := s.buf[:0]
	switch s.format {
	case Table:
		return s.table.row(r)
	case JSON:
		if s.rows == 0 {
			b = append(b, "[\n  "...)
		} else {
			b = append(b, ",\n  "...)
		}
		b = appendJSON(b, r, -1)
	case YAML:
		b = appendYAMLItem(b, r, 0)
	case Raw:
		for _, f := range r {
			if v, ok := f.Value.(Bytes); ok && f.Name == s.raw {
				b = append(b, v...)
			}
		}
		b = append(b, '\n')
	default:
		b = append(appendJSON(b, r, -1), '\n')
	}
	s.buf = b
	_, err := s.p.w.Write(b)
	return err
}

// Rows is how many rows were written.
func (s *Stream) Rows() int { return s.rows }

// Close ends the list and hands it to the writer.
func (s *Stream) Close() error {
	if s.err != nil {
		return s.err
	}
	var err error
	switch s.format {
	case Table:
		err = s.table.flush()
	case JSON:
		end := "\n]\n"
		if s.rows == 0 {
			end = "[]\n"
		}
		_, err = s.p.w.WriteString(end)
	case YAML:
		if s.rows == 0 {
			_, err = s.p.w.WriteString("[]\n")
		}
	}
	s.err = errors.Join(err, s.p.Flush())
	return s.err
}
