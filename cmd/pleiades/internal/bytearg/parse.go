package bytearg

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

const (
	hexPrefix = "0x"
	b64Prefix = "b64:"
	quote     = '\''
)

// Parse returns the bytes that arg means. The result is a fresh slice, empty for an empty argument. An
// argument in a form that it does not keep to is a usage error whose fix line shows the literal form.
func Parse(arg string) ([]byte, error) {
	switch {
	case strings.HasPrefix(arg, hexPrefix):
		return parseHex(arg)
	case strings.HasPrefix(arg, b64Prefix):
		return parseBase64(arg)
	case strings.HasPrefix(arg, string(quote)):
		return parseQuoted(arg)
	default:
		return []byte(arg), nil
	}
}

func parseHex(arg string) ([]byte, error) {
	digits := arg[len(hexPrefix):]
	b, err := hex.DecodeString(digits)
	if err == nil {
		return b, nil
	}
	var bad hex.InvalidByteError
	if errors.As(err, &bad) {
		return nil, malformed(arg, "%q is not a hexadecimal digit", rune(bad))
	}
	return nil, malformed(arg, "%d hexadecimal digits are not whole bytes", len(digits))
}

func parseBase64(arg string) ([]byte, error) {
	text := strings.TrimRight(arg[len(b64Prefix):], "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	// The decoder skips line breaks; an argument that holds some was not meant as base64.
	if strings.ContainsAny(text, "\r\n") {
		return nil, malformed(arg, "a line break is not base64")
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, malformed(arg, "not base64 (%v)", err)
	}
	return b, nil
}

func parseQuoted(arg string) ([]byte, error) {
	if len(arg) < 2 || arg[len(arg)-1] != quote {
		return nil, malformed(arg, "the opening ' has no closing one")
	}
	body := arg[1 : len(arg)-1]
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case quote:
			return nil, malformed(arg, `a ' inside quotes is written \'`)
		case '\\':
			b, n, ok := unescape(body[i+1:])
			if !ok {
				return nil, malformed(arg, `%q is no escape; known are \xNN \n \r \t \0 \\ \'`, head(body[i:], 4))
			}
			out = append(out, b)
			i += n
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// unescape reads what stands behind a backslash: the byte, and how many characters it took.
func unescape(s string) (b byte, n int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	switch s[0] {
	case 'n':
		return '\n', 1, true
	case 'r':
		return '\r', 1, true
	case 't':
		return '\t', 1, true
	case '0':
		return 0, 1, true
	case '\\', quote:
		return s[0], 1, true
	case 'x':
		if len(s) < 3 {
			return 0, 0, false
		}
		v, err := hex.DecodeString(s[1:3])
		if err != nil {
			return 0, 0, false
		}
		return v[0], 3, true
	}
	return 0, 0, false
}

// malformed is the usage error for arg, with the literal form of arg as its way out.
func malformed(arg, format string, args ...any) error {
	all := append([]any{base.ErrInvalid, head(arg, 64)}, args...)
	return exit.New(exit.Usage,
		`for the literal text write it in quotes, for the shell: "`+shellSafe(quoted([]byte(arg)))+`"`,
		"%w: argument %q: "+format, all...)
}

// shellSafe keeps a shell from reading anything into text that stands between double quotes.
func shellSafe(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(head(s, 200))
}

func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
