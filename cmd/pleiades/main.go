// Command pleiades is the one binary of Pleiades: the node, and the command line for it and for embedded stores.
//
// The commands live in internal/cli; this file connects them to the process: streams, signals, exit code.
package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/shieldmaidens/pleiades/client/contexts"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/cli"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/terminal"
)

func main() {
	os.Exit(run())
}

func run() int {
	// The first interruption asks for an orderly end; after it the signal has its usual effect, so that a
	// second one ends the process whatever it is doing. The store survives that.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	// A reader that went away is an error of the write, so that the store is closed in order.
	signal.Ignore(syscall.SIGPIPE)

	home, err := contexts.Home(os.LookupEnv)
	if err != nil {
		home = "" // no HOME: there are no contexts then
	}
	app := &cli.App{
		In:         cli.Stream{Reader: os.Stdin, Terminal: terminal.Is(os.Stdin)},
		Out:        cli.Stream{Writer: os.Stdout, Terminal: terminal.Is(os.Stdout)},
		Err:        cli.Stream{Writer: os.Stderr, Terminal: terminal.Is(os.Stderr)},
		Env:        os.LookupEnv,
		Environ:    os.Environ,
		Self:       self(),
		SystemFile: "/etc/pleiades/pleiades.toml",
		ConfigHome: home,
	}
	return int(app.Run(ctx, os.Args[1:]))
}

// self is how the program was called: by its name where that finds it, else by the path that was typed.
func self() string {
	name := filepath.Base(os.Args[0])
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	return os.Args[0]
}
