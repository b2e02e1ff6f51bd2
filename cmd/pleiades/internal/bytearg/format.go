package bytearg

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// Format returns b in the form that Parse reads: bare where that is unmistakable, else in quotes with
// escapes. The result is printable and has no line break.
func Format(b []byte) string {
	if bare(b) {
		return string(b)
	}
	return quoted(b)
}

// Text reports whether b can be shown on a terminal as it stands: valid UTF-8 whose only control
// characters are tab and line feed.
func Text(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return false
		}
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// bare reports whether b can stand without quotes: printable, not the start of another form, and
// without spaces at its ends, which nobody would see.
func bare(b []byte) bool {
	if len(b) == 0 || b[0] == ' ' || b[len(b)-1] == ' ' {
		return false
	}
	switch b[0] {
	case quote, '-', '@': // - and @ have a meaning where a value stands
		return false
	}
	s := string(b)
	if strings.HasPrefix(s, hexPrefix) || strings.HasPrefix(s, b64Prefix) {
		return false
	}
	return Text(b) && !strings.ContainsAny(s, "\n\t")
}

func quoted(b []byte) string {
	var sb strings.Builder
	sb.Grow(len(b) + 2)
	sb.WriteByte(quote)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\n':
			sb.WriteString(`\n`)
		case r == '\r':
			sb.WriteString(`\r`)
		case r == '\t':
			sb.WriteString(`\t`)
		case r == '\\' || r == quote:
			sb.WriteByte('\\')
			sb.WriteRune(r)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, c := range b[:n] {
				sb.WriteString(`\x`)
				sb.WriteByte(hexDigits[c>>4])
				sb.WriteByte(hexDigits[c&15])
			}
		default:
			sb.Write(b[:n])
		}
		b = b[n:]
	}
	sb.WriteByte(quote)
	return sb.String()
}
