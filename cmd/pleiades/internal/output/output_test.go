package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"pgregory.net/rapid"
)

var samples = []Row{
	{F("key", Bytes("plain")), F("version", 3), F("value", Bytes("one line")), F("deleted", false)},
	{F("key", Bytes("\xff\x00")), F("version", 255), F("value", Bytes("two\nlines <&>")), F("deleted", true)},
	{F("key", Bytes("日本")), F("version", 1), F("value", Bytes(strings.Repeat("long ", 40))), F("deleted", nil)},
}

var nested = Row{
	F("name", "core"), F("size", uint64(1<<63)), F("ratio", 0.25), F("empty", Row{}), F("none", []Row{}),
	F("inner", Row{F("a", 1), F("b", Bytes("\x80"))}),
	F("list", []Row{{F("x", 1), F("y", "true")}, {F("x", -2), F("y", "1e3")}}),
	F("numbers", []int{1, 2, 3}),
}

// TestGolden pins every form of a stream and of an object.
func TestGolden(t *testing.T) {
	datadriven.RunTest(t, "testdata/forms.txt", func(t *testing.T, d *datadriven.TestData) string {
		var format string
		d.ScanArgs(t, "format", &format)
		var out bytes.Buffer
		f, err := ParseFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		p := NewPrinter(&out, Options{Format: f, Terminal: d.HasArg("tty"), Color: d.HasArg("color")})
		switch d.Cmd {
		case "stream":
			s, err := p.Stream("value")
			if err != nil {
				t.Fatal(err)
			}
			if !d.HasArg("empty") {
				for _, r := range samples {
					if err := s.Row(r); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		case "object":
			if err := errors.Join(p.Object(nested), p.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		// The test file separates its parts by empty lines and keeps no trailing spaces.
		return strings.ReplaceAll(strings.ReplaceAll(out.String(), "\x1b", "^["), "\n\n", "\n(empty)\n")
	})
}

// TestJSONKeepsBytes: what encoding/json reads back is what went in, for any bytes and nesting.
func TestJSONKeepsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		s := rapid.String().Draw(t, "string")
		indent := rapid.SampledFrom([]int{-1, 0}).Draw(t, "indent")
		enc := appendJSON(nil, Row{F("key", Bytes(b)), F("s", s), F("in", []Row{{F("n", 1)}})}, indent)
		var got struct {
			Key    *string `json:"key"`
			KeyB64 []byte  `json:"key_b64"`
			S      string  `json:"s"`
			In     []struct{ N int }
		}
		if err := json.Unmarshal(enc, &got); err != nil {
			t.Fatalf("%s: %v", enc, err)
		}
		back := got.KeyB64
		if got.Key != nil {
			back = []byte(*got.Key)
		}
		if (got.Key == nil) == utf8.Valid(b) || !bytes.Equal(back, b) || got.S != s || len(got.In) != 1 || got.In[0].N != 1 {
			t.Fatalf("%q, %q came back from %s", b, s, enc)
		}
		if indent < 0 && bytes.ContainsFunc(enc, func(r rune) bool { return r == '\n' || r == '\u2028' || r == '\u0085' }) {
			t.Fatalf("more than one line: %q", enc)
		}
	})
}

// TestTableStaysPrintable: no bytes can break a table's lines or move the cursor.
func TestTableStaysPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "bytes")
		s := cell(Bytes(b))
		if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 || width(s) > cellWidth {
			t.Fatalf("%q: %d columns", s, width(s))
		}
		if s := cell(string(b)); strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Fatalf("%q", s)
		}
	})
}

// TestLongTableStreams: after the sample, rows reach the writer before the stream ends.
func TestLongTableStreams(t *testing.T) {
	var out bytes.Buffer
	p := NewPrinter(&out, Options{Format: Table})
	s, err := p.Stream("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range tableSample * 40 {
		if err := s.Row(Row{F("key", Bytes(fmt.Sprintf("key%09d", i))), F("n", i)}); err != nil {
			t.Fatal(err)
		}
		if i == tableSample*38 && out.Len() == 0 {
			t.Fatal("nothing written yet")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != tableSample*40+1 || s.Rows() != tableSample*40 {
		t.Fatalf("%d lines, %d rows", len(lines), s.Rows())
	}
}

func TestValue(t *testing.T) {
	show := func(b []byte) string { return "<" + string(b) + ">" }
	for _, c := range []struct {
		opt  Options
		in   string
		want string
	}{
		{Options{}, "a\x00", "a\x00"},
		{Options{Terminal: true}, "a", "<a>\n"},
		{Options{Terminal: true, Format: Raw}, "a", "a"},
	} {
		var out bytes.Buffer
		p := NewPrinter(&out, c.opt)
		if err := errors.Join(p.Value([]byte(c.in), show), p.Flush()); err != nil || out.String() != c.want {
			t.Errorf("%+v: %q, %v", c.opt, out.String(), err)
		}
	}
}

func TestFormatErrors(t *testing.T) {
	if _, err := ParseFormat("xml"); !isUsage(err) {
		t.Errorf("xml: %v", err)
	}
	if _, err := NewPrinter(&bytes.Buffer{}, Options{Format: Raw}).Stream(""); !isUsage(err) {
		t.Errorf("raw: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestWriteErrorSticks: a broken pipe ends the stream, and every call says so.
func TestWriteErrorSticks(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, f := range Formats {
		p := NewPrinter(failing{broken}, Options{Format: f})
		s, err := p.Stream("value")
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; err == nil && i < 10000; i++ {
			err = s.Row(samples[2])
		}
		if !errors.Is(err, broken) || !errors.Is(s.Row(samples[0]), broken) || !errors.Is(s.Close(), broken) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func isUsage(err error) bool {
	code, _ := exit.Of(err)
	return code == exit.Usage
}
