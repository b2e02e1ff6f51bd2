package output

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendJSON appends v. With indent >= 0 objects and lists take several lines, indented by two spaces a
// level; with -1 everything stands in one line.
func appendJSON(dst []byte, v any, indent int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case float64:
		b, err := json.Marshal(v) // NaN and the infinities have no JSON
		if err != nil {
			return append(dst, "null"...)
		}
		return append(dst, b...)
	case string:
		return appendString(dst, v)
	case Bytes:
		if utf8.Valid(v) {
			return appendString(dst, string(v))
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, '"')
	case Row:
		return appendObject(dst, v, indent)
	case []Row:
		return appendList(dst, len(v), indent, func(dst []byte, i, in int) []byte { return appendJSON(dst, v[i], in) })
	case []int:
		return appendList(dst, len(v), -1, func(dst []byte, i, _ int) []byte { return strconv.AppendInt(dst, int64(v[i]), 10) })
	default:
		return appendString(dst, fmt.Sprint(v))
	}
}

func appendObject(dst []byte, r Row, indent int) []byte {
	if len(r) == 0 {
		return append(dst, "{}"...)
	}
	dst = append(dst, '{')
	for i, f := range r {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = newline(dst, indent, 1)
		name, _ := f.jsonName()
		dst = appendString(dst, name)
		dst = append(dst, ':')
		if indent >= 0 {
			dst = append(dst, ' ')
		}
		dst = appendJSON(dst, f.Value, deeper(indent))
	}
	dst = newline(dst, indent, 0)
	return append(dst, '}')
}

func appendList(dst []byte, n, indent int, item func(dst []byte, i, indent int) []byte) []byte {
	if n == 0 {
		return append(dst, "[]"...)
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = newline(dst, indent, 1)
		dst = item(dst, i, deeper(indent))
	}
	dst = newline(dst, indent, 0)
	return append(dst, ']')
}

func deeper(indent int) int {
	if indent < 0 {
		return indent
	}
	return indent + 1
}

func newline(dst []byte, indent, more int) []byte {
	if indent < 0 {
		return dst
	}
	dst = append(dst, '\n')
	for range indent + more {
		dst = append(dst, "  "...)
	}
	return dst
}

// appendString appends s as a JSON string. HTML characters stay as they are; the line separators that
// end a line for some readers are escaped, so that one row is one line everywhere.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r >= ' ' && r != '"' && r != '\\' && r != 0x7f && r != 0x85 && r != 0x2028 && r != 0x2029 && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		i += n
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
