package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"pgregory.net/rapid"
)

// show reads a whole input and writes one line for everything that Next returned.
func show(r io.Reader, opt Options) string {
	src, format, err := Open(r, opt)
	if err != nil {
		_, fix := exit.Of(err)
		return fmt.Sprintf("open: %v\nfix: %s\n", err, fix)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "format %s\n", format)
	for {
		rec, err := src.Next()
		var bad *Bad
		switch {
		case errors.Is(err, io.EOF):
			return out.String()
		case errors.As(err, &bad):
			fmt.Fprintf(&out, "bad  %v\n", bad)
		case err != nil:
			fmt.Fprintf(&out, "stop %v\n", err)
			return out.String()
		default:
			fmt.Fprintf(&out, "%4d %q = %q\n", rec.Line, rec.Key, rec.Value)
		}
	}
}

// TestScenarios reads the inputs of testdata. In them \xNN, \t, \r and \n stand for single bytes where the
// command has "escapes"; otherwise a line's text is the input.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "fuzz") {
			return // a fuzzer's corpus is no scenario
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			in := d.Input
			if !d.HasArg("unterminated") && in != "" {
				in += "\n"
			}
			if d.HasArg("escapes") {
				in = strings.NewReplacer(`\t`, "\t", `\r`, "\r", `\xff`, "\xff", `\x00`, "\x00", `\e`, "", `\\`, `\`).Replace(in)
			}
			var opt Options
			var format, key string
			d.MaybeScanArgs(t, "format", &format)
			d.MaybeScanArgs(t, "key", &key)
			d.MaybeScanArgs(t, "value", &opt.ValueField)
			d.MaybeScanArgs(t, "max", &opt.MaxBytes)
			opt.Format = Format(format)
			if key != "" {
				var err error
				if opt.Key, err = ParseTemplate(key); err != nil {
					return err.Error() + "\n"
				}
			}
			got := show(strings.NewReader(in), opt)
			if one := show(iotest.OneByteReader(strings.NewReader(in)), opt); one != got {
				t.Fatalf("%s: read byte by byte the answer differs:\n%s\n%s", d.Pos, one, got)
			}
			return got
		})
	})
}

// TestLongLinesStream: a line far beyond the bound is skipped without being held, and numbers stay right.
func TestLongLinesStream(t *testing.T) {
	long := strings.NewReader(strings.Repeat("x", 3<<20) + "\nkey\tvalue\n")
	got := show(long, Options{Format: TSV, MaxBytes: 100})
	if want := "format tsv\nbad  line 1: invalid input: the line is longer than 100 bytes\n   2 \"key\" = \"value\"\n"; got != want {
		t.Fatal(got)
	}
	ls := &lines{max: 10}
	if ls.buf != nil {
		t.Fatal("held")
	}
}

// TestReadErrorIsFinal: a failing disk is not the end of the input and not a bad line.
func TestReadErrorIsFinal(t *testing.T) {
	broken := errors.New("broken")
	for _, format := range []Format{JSONL, TSV, Deb} {
		src, _, err := Open(io.MultiReader(strings.NewReader("{}"), iotest.ErrReader(broken)), Options{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := src.Next(); !errors.Is(err, broken) {
			t.Errorf("%s: %v", format, err)
		}
	}
	if _, _, err := Open(iotest.ErrReader(broken), Options{}); !errors.Is(err, broken) {
		t.Errorf("guess: %v", err)
	}
}

// TestSlowInput: a record is delivered when it is there, not when more has come.
func TestSlowInput(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		if _, err := io.WriteString(w, "\n key\tvalue\n"); err != nil {
			t.Error(err)
		}
	}()
	src, format, err := Open(r, Options{})
	if err != nil || format != TSV {
		t.Fatalf("%s, %v", format, err)
	}
	if rec, err := src.Next(); err != nil || string(rec.Value) != "value" {
		t.Fatalf("%q, %v", rec.Value, err)
	}
}

func TestDumpSource(t *testing.T) {
	var b bytes.Buffer
	w, err := dump.NewWriter(&b, dump.Header{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		if err := w.Write(&dump.Version{Key: []byte("k"), Value: fmt.Append(nil, i), Number: i, Timestamp: hlc.Timestamp{WallNanos: int64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	want := "format dump\n   1 \"k\" = \"1\"\n   2 \"k\" = \"2\"\n   3 \"k\" = \"3\"\n"
	if got := show(bytes.NewReader(whole), Options{}); got != want {
		t.Errorf("%s", got)
	}
	got := show(bytes.NewReader(whole[:len(whole)-1]), Options{})
	if !strings.HasPrefix(got, want+"stop dump: cut off") {
		t.Errorf("%s", got)
	}
	if _, _, err := Open(bytes.NewReader(whole), Options{Key: FieldTemplate("x")}); !errors.Is(err, base.ErrInvalid) {
		t.Errorf("a key template on a dump: %v", err)
	}
}

func TestTemplate(t *testing.T) {
	get := func(dst []byte, f string) ([]byte, bool) { return append(dst, "<"+f+">"...), f != "none" }
	for in, want := range map[string]string{
		"{a}":        "<a>",
		"x/{a}/{b}y": "x/<a>/<b>y",
		"{{{a}}}":    "{<a>}",
		"{a}{{}}":    "<a>{}",
	} {
		tm, err := ParseTemplate(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, missing := tm.key(nil, get); string(got) != want || missing != "" {
			t.Errorf("%s: %s, missing %q", in, got, missing)
		}
		again, err := ParseTemplate(tm.String())
		if err != nil || again.String() != tm.String() {
			t.Errorf("%s became %s: %v", in, tm, err)
		}
	}
	for _, in := range []string{"", "text", "{", "{a", "}", "a}", "{}", "{a{b}}", "{{a}}"} {
		if tm, err := ParseTemplate(in); !errors.Is(err, base.ErrInvalid) {
			t.Errorf("%q: %v, %v", in, tm, err)
		}
	}
	if _, missing := FieldTemplate("none").key(nil, get); missing != "none" {
		t.Errorf("missing %q", missing)
	}
}

// TestDebKeepsBytes: stanzas read back are the stanzas written, whatever stands in their values.
func TestDebKeepsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in bytes.Buffer
		var want []string
		for i := range rapid.IntRange(0, 6).Draw(t, "stanzas") {
			s := fmt.Sprintf("Package: p%d\n", i)
			for j, v := range rapid.SliceOfN(rapid.StringMatching(`[ -~é\t]*`), 0, 4).Draw(t, "values") {
				s += fmt.Sprintf("F%d: %s\n more%s\n", j, v, v)
			}
			want = append(want, s)
			in.WriteString(s + strings.Repeat("\n", rapid.IntRange(1, 3).Draw(t, "gap")))
		}
		src, _, err := Open(&in, Options{Format: Deb})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range want {
			r, err := src.Next()
			if err != nil || string(r.Value) != s || string(r.Key) != fmt.Sprintf("p%d", i) {
				t.Fatalf("%q, %v; want %q", r.Value, err, s)
			}
		}
		if _, err := src.Next(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

// fuzzSource: no input panics, loops or yields a record that is not part of the input's bound.
func fuzzSource(f *testing.F, format Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const bound = 64
		src, _, err := Open(bytes.NewReader(in), Options{Format: format, MaxBytes: bound})
		if err != nil {
			return // refused as a whole, which is an answer
		}
		last := int64(0)
		for range len(in) + 2 {
			rec, err := src.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var bad *Bad
			if errors.As(err, &bad) {
				rec.Line = bad.Line
			} else if err != nil {
				t.Fatal(err)
			}
			if rec.Line <= last || len(rec.Value) > bound || len(rec.Key) > bound {
				t.Fatalf("line %d behind %d, key %d, value %d bytes", rec.Line, last, len(rec.Key), len(rec.Value))
			}
			if format == JSONL && bad == nil && bytes.Contains(rec.Value, []byte("\ufffd")) && !bytes.Contains(in, []byte("\ufffd")) && utf8.Valid(in) &&
				!bytes.Contains(bytes.ToLower(in), []byte(`\ufffd`)) && !bytes.Contains(in, []byte("_b64")) {
				t.Fatalf("bytes were replaced: %q", rec.Value)
			}
			last = rec.Line
		}
		t.Fatal("more records than bytes")
	})
}

func FuzzJSONL(f *testing.F) {
	fuzzSource(f, JSONL, `{"key":"a","value":"b"}`, `{"key_b64":"YQ==","value":{"x":[1]}}`+"\n\n{", `{"key":"\ud800","value":1}`)
}

func FuzzTSV(f *testing.F) { fuzzSource(f, TSV, "a\tb\n", "a\n\tb\r\n\xff\t\x00") }

func FuzzDeb(f *testing.F) {
	fuzzSource(f, Deb, "Package: a\nX: y\n z\n\n\nPackage: b\n", " x\n", "Package\n\n:\n")
}

// FuzzTemplate: what is accepted is accepted again in the form that it prints, with the same meaning.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{Package}", "{{{a}}}/x", "{a}{b}", "{", "}{"} {
		f.Add(s)
	}
	get := func(dst []byte, field string) ([]byte, bool) { return append(dst, "<"+field+">"...), true }
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseTemplate(s)
		if err != nil {
			return
		}
		b, err := ParseTemplate(a.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, a, err)
		}
		x, _ := a.key(nil, get)
		y, _ := b.key(nil, get)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q: %q and %q", s, a, x, y)
		}
	})
}
