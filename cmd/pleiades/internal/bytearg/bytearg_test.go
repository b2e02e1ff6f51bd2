package bytearg

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for arg, want := range map[string]string{
		"":                  "",
		"a":                 "a",
		"'a'":               "a",
		"''":                "",
		"0x61":              "a",
		"0x":                "",
		"0X61":              "0X61",
		"0x00fF":            "\x00\xff",
		"b64:YQ==":          "a",
		"b64:YQ":            "a",
		"b64:-_8":           "\xfb\xff",
		"b64:+/8=":          "\xfb\xff",
		"b64:":              "",
		`a\x00`:             `a\x00`,
		`'a\x00\n\r\t\0\\'`: "a\x00\n\r\t\x00\\",
		`'it\'s'`:           "it's",
		"'0xZZ'":            "0xZZ",
		`{"a":"b"}`:         `{"a":"b"}`,
		`"quoted"`:          `"quoted"`,
		"-":                 "-",
		"ключ":              "ключ",
		"\xff\xfe":          "\xff\xfe",
	} {
		got, err := Parse(arg)
		if err != nil || string(got) != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", arg, got, err, want)
		}
	}
}

// TestParseRefuses: every refusal is a usage error whose fix line leads to the literal text.
func TestParseRefuses(t *testing.T) {
	for _, arg := range []string{
		"0xZZ", "0x6", "0x 61", "b64:!", "b64:YQ=x", "b64:a\nb=", "b64:a", "'", "'a", "'a'b'", `'\q'`, `'\x4'`, `'\xg0'`, `'a\'`,
		"0x$HOME\"`", "'\xff",
	} {
		_, err := Parse(arg)
		code, fix := exit.Of(err)
		if code != exit.Usage {
			t.Errorf("Parse(%q): %v, code %d", arg, err, code)
			continue
		}
		i, j := strings.Index(fix, `"`), strings.LastIndex(fix, `"`)
		literal := strings.NewReplacer(`\\`, `\`, `\"`, `"`, "\\`", "`", `\$`, "$").Replace(fix[i+1 : j])
		back, err := Parse(literal)
		if err != nil || string(back) != arg {
			t.Errorf("the fix for %q is %q, which means %q, %v", arg, literal, back, err)
		}
	}
}

func TestFormat(t *testing.T) {
	for b, want := range map[string]string{
		"":             "''",
		"a":            "a",
		"a b":          "a b",
		" a":           "' a'",
		"a ":           "'a '",
		"0x61":         "'0x61'",
		"b64:x":        "'b64:x'",
		"'a'":          `'\'a\''`,
		"-":            "'-'",
		"@f":           "'@f'",
		"a\x00b":       `'a\x00b'`,
		"a\nb":         `'a\nb'`,
		"\xff":         `'\xff'`,
		"ключ":         "ключ",
		"a\u202eb":     `'a\xe2\x80\xaeb'`,
		"\x1b[31mred":  `'\x1b[31mred'`,
		"\ufffd":       "\ufffd",
		`back\slash`:   `back\slash`,
		"back\\\x00sl": `'back\\\x00sl'`,
	} {
		if got := Format([]byte(b)); got != want {
			t.Errorf("Format(%q) = %s, want %s", b, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
			rapid.Map(rapid.StringMatching(`(0x|b64:|'|-|@|\\)?[0-9a-zA-Z'\\ \n]*`), func(s string) []byte { return []byte(s) }),
		).Draw(t, "bytes")
		s := Format(b)
		if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Fatalf("Format(%q) = %q is not printable", b, s)
		}
		got, err := Parse(s)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("Parse(%q) = %q, %v; want %q", s, got, err, b)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a", "'a'", "0x61", "b64:YQ==", `'\x00'`, "0xZZ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		b, err := Parse(arg)
		if err != nil {
			if code, _ := exit.Of(err); code != exit.Usage {
				t.Fatalf("Parse(%q): %v", arg, err)
			}
			return
		}
		again, err := Parse(Format(b))
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("Parse(Format(%q)) = %q, %v", b, again, err)
		}
	})
}

func TestValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "v")
	if err := os.WriteFile(file, []byte("from\x00file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"-":        "in\xff",
		"@" + file: "from\x00file\n",
		"plain":    "plain",
		"0x00":     "\x00",
		"'-'":      "-",
		"'@x'":     "@x",
	} {
		got, err := Value(arg, strings.NewReader("in\xff"))
		if err != nil || string(got) != want {
			t.Errorf("Value(%q) = %q, %v", arg, got, err)
		}
	}
}

func TestValueErrors(t *testing.T) {
	if _, err := Value("@", nil); !isCode(err, exit.Usage) {
		t.Errorf("@ alone: %v", err)
	}
	if _, err := Value("@"+filepath.Join(t.TempDir(), "none"), nil); !isCode(err, exit.NotFound) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Value("@"+t.TempDir(), nil); err == nil {
		t.Error("a directory was read as a value")
	}
	broken := errors.New("broken")
	if _, err := Value("-", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken input: %v", err)
	}
	exact := bytes.Repeat([]byte{'x'}, MaxValueBytes)
	if b, err := Value("-", bytes.NewReader(exact)); err != nil || len(b) != MaxValueBytes {
		t.Errorf("the longest value: %d bytes, %v", len(b), err)
	}
	if _, err := Value("-", bytes.NewReader(append(exact, 'x'))); !isCode(err, exit.Usage) {
		t.Errorf("one byte more: %v", err)
	}
}

func isCode(err error, want exit.Code) bool {
	code, _ := exit.Of(err)
	return code == want
}
