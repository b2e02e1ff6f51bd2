package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/config"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/progress"
	"github.com/shieldmaidens/pleiades/hlc"
)

// Stream is one of the process's standard streams.
type Stream struct {
	io.Reader
	io.Writer
	// Terminal says that a person sits at the other end.
	Terminal bool
}

// App is one run of the program.
type App struct {
	In, Out, Err Stream
	// Env returns an environment variable.
	Env func(name string) (string, bool)
	// Environ lists the environment as NAME=VALUE, for commands that refuse misspelled variables; nil for none.
	Environ func() []string
	// Self is how the program is called in lines to be copied; empty is "pleiades".
	Self string
	// Wall is the clock that timestamps, expiry and progress go by; nil is the machine's.
	Wall hlc.WallClock
	// SystemFile is the settings file of the machine; empty for none.
	SystemFile string
	// ConfigHome is the directory of the person's contexts, see contexts.Home; empty for none.
	ConfigHome string

	cfg     *config.Config
	printer *output.Printer
	started bool // a command's own code was reached: errors before it are usage errors
}

// Run runs one command line, without the program's name, and returns the exit code. ctx is cancelled by
// an interruption.
func (a *App) Run(ctx context.Context, args []string) exit.Code {
	if _, ok := a.Err.Writer.(*lockedWriter); !ok {
		a.Err.Writer = &lockedWriter{w: a.Err.Writer}
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(quietPipe{a.Out}) // cobra writes help there and reports errors in its own way
	root.SetErr(a.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if a.printer != nil {
		err = errors.Join(err, a.printer.Flush())
	}
	return a.report(cmd, err)
}

// quietPipe drops what is written to a reader that went away.
type quietPipe struct{ io.Writer }

func (q quietPipe) Write(p []byte) (int, error) {
	n, err := q.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, err
}

// report writes err with its way out and returns its code.
func (a *App) report(cmd *cobra.Command, err error) exit.Code {
	if err = withoutPipe(err); err == nil {
		return exit.OK
	}
	var typed *exit.Error
	if !a.started && !errors.As(err, &typed) {
		err = exit.New(exit.Usage, usageFix(cmd, err.Error()), "%s", usageText(err.Error()))
	}
	err = withFix(err)
	code, fix := exit.Of(err)
	text := err.Error()
	if code == exit.Interrupted {
		text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	}
	fmt.Fprintf(a.Err, "%s: %s\n", a.paint("31", cmd.CommandPath()), oneLine(text))
	fmt.Fprintf(a.Err, "  fix: %s\n", oneLine(fix))
	return code
}

// withoutPipe drops those parts of err that say that the reader of standard output went away, which is the
// reader's right.
func withoutPipe(err error) error {
	if !errors.Is(err, syscall.EPIPE) {
		return err
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		rest = append(rest, withoutPipe(e))
	}
	return errors.Join(rest...)
}

// oneLine keeps an error's text from spreading over the terminal or moving its cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
}

// paint colours text on a terminal that wants colours.
func (a *App) paint(code, text string) string {
	if !a.Err.Terminal || !a.color() {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// color reports whether colours are wanted: neither --no-color nor the NO_COLOR convention forbids them.
func (a *App) color() bool {
	if v, ok := a.Env("NO_COLOR"); ok && v != "" {
		return false
	}
	return !a.flag("no-color")
}

// note writes a line for people on standard error, unless -q was given.
func (a *App) note(format string, args ...any) {
	if !a.flag("quiet") {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

// out returns the printer of this run.
func (a *App) out() *output.Printer {
	if a.printer == nil {
		format, err := output.ParseFormat(a.text("output"))
		if err != nil {
			format = output.Auto // was checked when the settings were resolved
		}
		a.printer = output.NewPrinter(a.Out, output.Options{Format: format, Terminal: a.Out.Terminal, Color: a.color()})
	}
	return a.printer
}

// bar returns a progress bar on standard error.
func (a *App) bar(label string, total int64, unit string) *progress.Bar {
	return progress.New(a.Err, a.Err.Terminal && !a.flag("quiet"), a.now, label, total, unit)
}

func (a *App) now() time.Time {
	if a.Wall != nil {
		return a.Wall()
	}
	return time.Now()
}

// logger returns the log of the libraries: what an operator should know, with -v everything.
func (a *App) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.flag("verbose"):
		level = slog.LevelDebug
	case a.flag("quiet"):
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
}

// confirm asks a yes-or-no question on a terminal. Without one, and without --yes, it is a usage error.
func (a *App) confirm(ctx context.Context, question string) error {
	if a.flag("yes") {
		return nil
	}
	if !a.In.Terminal || !a.Err.Terminal {
		return exit.New(exit.Usage, "add --yes to go on without being asked", "%s needs an answer, and there is no terminal to ask on", question)
	}
	fmt.Fprintf(a.Err, "%s? [y/N] ", question)
	answer, err := bufio.NewReader(io.LimitReader(a.input(ctx), 64)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(a.Err)
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return exit.New(exit.Failure, "answer y to go on", "not confirmed: nothing was changed")
}
