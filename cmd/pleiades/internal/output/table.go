package output

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
)

const (
	// tableSample is how many rows are held back to choose the widths of the columns.
	tableSample = 256
	// tableSampleBytes bounds the same in bytes.
	tableSampleBytes = 1 << 20
	// cellWidth is the widest cell that a table shows; the rest of a longer one is cut.
	cellWidth = 72
	gap       = "  "
)

// table writes rows in aligned columns.
type table struct {
	w       io.Writer
	bold    bool
	names   []string
	right   []bool
	widths  []int
	held    [][]string
	heldLen int
	flowing bool
	buf     []byte
}

func (t *table) row(r Row) error {
	cells := make([]string, len(r))
	for i, f := range r {
		cells[i] = cell(f.Value)
		t.heldLen += len(cells[i])
	}
	if t.names == nil {
		for _, f := range r {
			t.names = append(t.names, strings.ToUpper(f.Name))
			t.right = append(t.right, number(f.Value))
		}
	}
	if t.flowing {
		return t.write(cells, false)
	}
	t.held = append(t.held, cells)
	if len(t.held) >= tableSample || t.heldLen >= tableSampleBytes {
		return t.flush()
	}
	return nil
}

// flush fixes the widths and writes what was held back. A table without rows writes nothing.
func (t *table) flush() error {
	if t.flowing || t.names == nil {
		return nil
	}
	t.flowing = true
	t.widths = make([]int, len(t.names))
	for i, n := range t.names {
		t.widths[i] = width(n)
	}
	for _, cells := range t.held {
		for i := range min(len(cells), len(t.widths)) {
			t.widths[i] = max(t.widths[i], width(cells[i]))
		}
	}
	if err := t.write(t.names, true); err != nil {
		return err
	}
	for _, cells := range t.held {
		if err := t.write(cells, false); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

func (t *table) write(cells []string, head bool) error {
	b := t.buf[:0]
	for i, c := range cells {
		pad := 0
		if i < len(t.widths) {
			pad = max(0, t.widths[i]-width(c))
		}
		right := i < len(t.right) && t.right[i]
		if right {
			b = append(b, strings.Repeat(" ", pad)...)
		}
		if head && t.bold {
			b = append(b, "\x1b[1m"+c+"\x1b[0m"...)
		} else {
			b = append(b, c...)
		}
		if i == len(cells)-1 {
			break // no spaces at the end of a line
		}
		if !right {
			b = append(b, strings.Repeat(" ", pad)...)
		}
		b = append(b, gap...)
	}
	b = append(b, '\n')
	t.buf = b
	_, err := t.w.Write(b)
	return err
}

// object writes one row as two columns, names and values; nested rows are indented below their name.
func object(dst []byte, r Row, indent string, bold bool) []byte {
	w := 0
	for _, f := range r {
		w = max(w, width(f.Name))
	}
	for _, f := range r {
		dst = append(dst, indent...)
		if bold {
			dst = append(dst, "\x1b[1m"+f.Name+"\x1b[0m"...)
		} else {
			dst = append(dst, f.Name...)
		}
		v := f.Value
		if empty(v) {
			v = nil
		}
		switch v := v.(type) {
		case Row:
			dst = append(dst, '\n')
			dst = object(dst, v, indent+gap, bold)
		case []Row:
			dst = append(dst, '\n')
			for i, item := range v {
				if i > 0 && len(item) > 1 {
					dst = append(dst, '\n')
				}
				dst = object(dst, item, indent+gap, bold)
			}
		default:
			dst = append(dst, strings.Repeat(" ", w-width(f.Name))...)
			dst = append(dst, gap...)
			dst = append(dst, cell(v)...)
			dst = append(dst, '\n')
		}
	}
	return dst
}

// empty reports whether v is a nested row or list with nothing in it.
func empty(v any) bool {
	switch v := v.(type) {
	case Row:
		return len(v) == 0
	case []Row:
		return len(v) == 0
	}
	return false
}

func number(v any) bool {
	switch v.(type) {
	case int, int64, uint64, float64:
		return true
	}
	return false
}

// cell is the printable form of a value, at most cellWidth columns wide.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return clean(v)
	case Bytes:
		return cut(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return string(appendJSON(nil, v, -1))
	}
}

// cut formats bytes; what does not fit is replaced by the full length.
func cut(b Bytes) string {
	s := bytearg.Format(b[:min(len(b), cellWidth*utf8.UTFMax)])
	if width(s) <= cellWidth && len(b) <= cellWidth*utf8.UTFMax {
		return s
	}
	tail := "… (" + strconv.Itoa(len(b)) + " bytes)"
	return head(s, cellWidth-width(tail)) + tail
}

// clean replaces what would move the cursor; strings in rows are ours, but may quote somebody's.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, s)
}
