package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

// world is where the commands of a test run: a directory, an environment and a clock that goes on by one
// second a command.
type world struct {
	t    testing.TB
	dir  string
	env  map[string]string
	wall time.Time
	// tty makes all three streams terminals.
	tty   bool
	stdin string
	// tick is called when wall has moved, if it is set.
	tick func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.env = map[string]string{"PLEIADES_DIR": filepath.Join(w.dir, "store")}
	return w
}

// result is what a command left behind.
type result struct {
	out, err string
	code     exit.Code
}

func (w *world) app(out, errs *bytes.Buffer) *App {
	return &App{
		In:         Stream{Reader: strings.NewReader(w.stdin), Terminal: w.tty},
		Out:        Stream{Writer: out, Terminal: w.tty},
		Err:        Stream{Writer: errs, Terminal: w.tty},
		Env:        func(name string) (string, bool) { v, ok := w.env[name]; return v, ok },
		Wall:       func() time.Time { return w.wall },
		ConfigHome: filepath.Join(w.dir, "config", "pleiades"),
		SystemFile: filepath.Join(w.dir, "system.toml"),
	}
}

// run runs one command.
func (w *world) run(args ...string) result { return w.runContext(context.Background(), args...) }

func (w *world) runContext(ctx context.Context, args ...string) result {
	w.t.Helper()
	w.wall = w.wall.Add(time.Second)
	if w.tick != nil {
		w.tick()
	}
	var out, errs bytes.Buffer
	code := w.app(&out, &errs).Run(ctx, args)
	return result{out.String(), errs.String(), code}
}

// must runs a command that has to succeed and returns its output.
func (w *world) must(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	if r.code != exit.OK {
		w.t.Fatalf("%q: exit %d\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// file writes a file into the world's directory and returns its path.
func (w *world) file(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// withStore opens the world's store past the commands.
func (w *world) withStore(fn func(*engine.Engine, *versioning.Bucket)) {
	w.t.Helper()
	var out, errs bytes.Buffer
	a := w.app(&out, &errs)
	root := a.root()
	if err := a.resolve(root); err != nil {
		w.t.Fatal(err)
	}
	err := a.withDirectory(context.Background(), write, func(s *session) error {
		fn(s.eng, s.versions)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// variable output, which depends on the machine or on how RocksDB lays out its files.
var variable = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`((?:disk|shard)_bytes\w*[": ]+)\d+`), "${1}N"},
	{regexp.MustCompile(`(on disk )\d+( bytes, were )\d+`), "${1}N${2}N"},
	{regexp.MustCompile(`("seconds": )[0-9.]+`), "${1}N"},
	{regexp.MustCompile(`(held by pid )\d+`), "${1}N"},
	{regexp.MustCompile(`(\.dump)\.\d+`), "${1}.N"},
}

// show prints a result: standard output as it is, standard error behind "! ", the code when it is not 0.
func (w *world) show(r result) string {
	var sb strings.Builder
	text := r.out
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "%\n" // no line break at the end
	}
	sb.WriteString(text)
	for line := range strings.Lines(r.err) {
		sb.WriteString("! " + line)
		if !strings.HasSuffix(line, "\n") {
			sb.WriteString("%\n")
		}
	}
	if r.code != exit.OK {
		fmt.Fprintf(&sb, "exit %d\n", r.code)
	}
	s := strings.ReplaceAll(sb.String(), w.dir, "DIR")
	for _, v := range variable {
		s = v.re.ReplaceAllString(s, v.with)
	}
	var printable strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == '\n' || r != utf8.RuneError && unicode.IsPrint(r) {
			printable.WriteRune(r)
		} else {
			fmt.Fprintf(&printable, "<%x>", s[:n])
		}
		s = s[n:]
	}
	return printable.String()
}

// fields splits a command line of a scenario: at spaces, except within a Go string literal; $DIR is the
// world's directory.
func (w *world) fields(line string) []string {
	w.t.Helper()
	var args []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				w.t.Fatalf("%s: %v", line, err)
			}
			text, err := strconv.Unquote(q)
			if err != nil {
				w.t.Fatalf("%s: %v", line, err)
			}
			args, line = append(args, text), line[len(q):]
			continue
		}
		var word string
		word, line, _ = strings.Cut(line, " ")
		args = append(args, strings.ReplaceAll(word, "$DIR", w.dir))
	}
	return args
}

// TestScenarios runs the stories of testdata. Their commands:
//
//	run [tty] [stdin=FILE]   each line is a command line of pleiades
//	file NAME [escapes]      writes a file into $DIR; with escapes the text is the inside of a Go string
//	env NAME=VALUE...        sets variables; NAME= removes one
//	advance 1h               moves the clock
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld(t)
		datadriven.RunTest(t, path, w.scenario)
	})
}

// scenario runs one command of a scenario.
func (w *world) scenario(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "run":
		w.tty = d.HasArg("tty")
		w.stdin = ""
		if d.HasArg("stdin") {
			var name string
			d.ScanArgs(t, "stdin", &name)
			b, err := os.ReadFile(filepath.Join(w.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			w.stdin = string(b)
		}
		var sb strings.Builder
		several := strings.Contains(d.Input, "\n")
		for line := range strings.Lines(d.Input) {
			if several {
				sb.WriteString("$ " + strings.TrimSpace(line) + "\n")
			}
			sb.WriteString(w.show(w.run(w.fields(line)...)))
		}
		return sb.String()
	case "file":
		content := d.Input + "\n"
		if d.HasArg("escapes") {
			s, err := strconv.Unquote(`"` + strings.ReplaceAll(d.Input, "\n", `\n`) + `"`)
			if err != nil {
				t.Fatal(err)
			}
			content = s
		}
		w.file(d.CmdArgs[0].Key, []byte(content))
	case "env":
		for _, arg := range d.CmdArgs {
			if len(arg.Vals) == 0 || arg.Vals[0] == "" {
				delete(w.env, arg.Key)
				continue
			}
			w.env[arg.Key] = strings.ReplaceAll(arg.Vals[0], "$DIR", w.dir)
		}
	case "advance":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		w.wall = w.wall.Add(by)
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	return ""
}
