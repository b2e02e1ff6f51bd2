package record

import (
	"bytes"
	"errors"
	"io"
)

// deb reads Debian control stanzas: fields with continuation lines (which begin with a space or a tab),
// stanzas separated by empty lines. The value is the stanza as it stands, each line with its line feed.
type deb struct {
	lines  *lines
	key    *Template
	stanza []byte
	keyBuf []byte
	fields []debField
	ended  bool
}

// debField is a field of the current stanza by its place in it.
type debField struct{ name, value []byte }

func (d *deb) Next() (Record, error) {
	if d.ended {
		return Record{}, io.EOF
	}
	start, err := d.read()
	if err != nil {
		return Record{}, err
	}
	if err := d.split(start); err != nil {
		return Record{}, err
	}
	key, missing := d.key.key(d.keyBuf[:0], func(dst []byte, field string) ([]byte, bool) {
		for _, f := range d.fields {
			if len(f.name) == len(field) && bytes.EqualFold(f.name, []byte(field)) {
				return append(dst, f.value...), true
			}
		}
		return dst, false
	})
	d.keyBuf = key
	if missing != "" {
		return Record{}, badf(start, "the stanza has no field %q to make the key of", missing)
	}
	return Record{Line: start, Key: key, Value: d.stanza}, nil
}

// read collects the lines of the next stanza in d.stanza and returns the number of its first line.
func (d *deb) read() (start int64, err error) {
	d.stanza = d.stanza[:0]
	long := false
	for {
		line, err := d.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			d.ended = true
			if start == 0 {
				return 0, io.EOF
			}
		case errors.Is(err, errTooLong):
			long = true
			if start == 0 {
				start = d.lines.n
			}
			continue
		case err != nil:
			return 0, err
		default:
			if body := bytes.TrimSuffix(line, []byte{'\r'}); len(body) > 0 {
				if start == 0 {
					start = d.lines.n
				}
				long = long || len(d.stanza)+len(line)+1 > d.lines.max
				if !long {
					d.stanza = append(append(d.stanza, line...), '\n')
				}
				continue
			}
			if start == 0 {
				continue // empty lines in front of a stanza
			}
		}
		if long {
			return 0, d.lines.tooLong(start, "stanza")
		}
		return start, nil
	}
}

// split finds the fields of d.stanza. A field's value for a key is its first line, without spaces around it.
func (d *deb) split(start int64) error {
	d.fields = d.fields[:0]
	rest := d.stanza
	for n := start; len(rest) > 0; n++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		if line[0] == ' ' || line[0] == '\t' {
			if len(d.fields) == 0 {
				return badf(start, "line %d continues a field, but none was begun", n)
			}
			continue
		}
		if line[0] == '#' {
			continue
		}
		name, value, ok := cutField(line)
		if !ok {
			return badf(start, "line %d is no \"Field: value\"", n)
		}
		d.fields = append(d.fields, debField{name, bytes.TrimSpace(value)})
	}
	if len(d.fields) == 0 {
		return badf(start, "the stanza has no fields")
	}
	return nil
}

// cutField cuts a "Field: value" line. A name is printable ASCII without spaces and colons and begins
// with neither # nor - (Debian Policy 5.1).
func cutField(line []byte) (name, value []byte, ok bool) {
	name, value, ok = bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 || name[0] == '#' || name[0] == '-' {
		return nil, nil, false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return nil, nil, false
		}
	}
	return name, value, true
}
