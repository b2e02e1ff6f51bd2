package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/client/contexts"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/config"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/node"
)

func (a *App) nodeStart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run a node until it is told to stop",
		Long: `Run a node. Without any flag it keeps its data in ./pleiades-data and listens on the loopback only; the first start
makes certificates for it and for you, and a context, so that other commands on this machine need no flags.

SIGTERM or Ctrl-C ends it in good order: requests that were taken are finished, new ones are refused. A second one ends
it at once, which loses nothing that was acknowledged. docs/operations.md has the rest.`,
		Example: lines(
			"pleiades node start",
			"pleiades node start --dir /srv/pleiades --log-format json",
			"pleiades node start --listen :7420 --advertise db1.example.org:7420 --certs-dir /etc/pleiades/certs",
		),
		Args: cobra.NoArgs,
	}
	declareFlags(cmd.Flags(), withoutGlobal(nodeSettings()))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a.started = true
		cfg, err := a.resolveNode(cmd)
		if err != nil {
			return err
		}
		return a.startNode(cmd.Context(), cfg)
	}
	return cmd
}

func (a *App) startNode(ctx context.Context, cfg *config.Config) error {
	s, err := settingsOf(cfg)
	if err != nil {
		return err
	}
	switch { // the global flags count where nobody asked for a level
	case cfg.Get("log-level").Origin != "default":
	case a.flag("verbose"):
		s.LogLevel = slog.LevelDebug
	case a.flag("quiet"):
		s.LogLevel = slog.LevelWarn
	}
	s.Version, s.Wall, s.Logger = Version, a.Wall, node.NewLogger(a.Err, s)
	var fault error
	err = node.Run(ctx, s, func(n *node.Node) { fault = a.nodeReady(n, cfg.Get("save-context").Text) })
	return errors.Join(nodeStartError(err, s), fault)
}

// nodeReady writes the context and says what to type next. A fault in that does not end the node.
func (a *App) nodeReady(n *node.Node, name string) error {
	saved, current, err := a.saveContext(n, name)
	if err != nil {
		a.note("note: the context was not saved: %s", oneLine(err.Error()))
	}
	format, _ := output.ParseFormat(a.text("output")) // was checked when it was resolved
	if format != output.Auto && format != output.Table && format != output.Raw {
		err := a.out().Object(output.Row{
			output.F("node", n.Identity().Name), output.F("constellation", n.Identity().Constellation),
			output.F("listen", n.Addr()), output.F("advertise", n.Advertise()), output.F("admin", n.AdminAddr()),
			output.F("dir", n.Dir()), output.F("certs_dir", n.CertsDir()), output.F("context", saved), output.F("pid", os.Getpid()),
		})
		return errors.Join(err, a.out().Flush())
	}
	self := a.self()
	switch {
	case saved == "":
		self += fmt.Sprintf(" --addr %s --certs-dir %s", n.Advertise(), n.CertsDir())
	case !current:
		self += " --context " + saved
	}
	fmt.Fprintf(a.Out, "node %s of constellation %s is ready on %s\n", n.Identity().Name, n.Identity().Constellation, n.Addr())
	fmt.Fprintf(a.Out, "  data    %s\n", n.Dir())
	fmt.Fprintf(a.Out, "  certs   %s", n.CertsDir())
	if n.First() {
		fmt.Fprint(a.Out, "   (made now, for this machine)")
	}
	fmt.Fprintln(a.Out)
	if n.AdminAddr() != "" {
		fmt.Fprintf(a.Out, "  admin   http://%s/\n", n.AdminAddr())
	}
	fmt.Fprintf(a.Out, "In another terminal:\n")
	for _, line := range []string{"kv put greeting hello", "kv get greeting", "kv history greeting", "bucket create stars", "node status"} {
		fmt.Fprintf(a.Out, "  %s %s\n", self, line)
	}
	fmt.Fprintf(a.Out, "Ctrl-C stops the node.\n")
	return nil
}

// self is how this program was called.
func (a *App) self() string {
	if a.Self != "" {
		return a.Self
	}
	return "pleiades"
}

// saveContext writes the context by which commands on this machine reach the node, unless it is another node's. It
// becomes the current one when none is. saved is its name, empty when there is none.
func (a *App) saveContext(n *node.Node, name string) (saved string, current bool, err error) {
	if name == "" || a.ConfigHome == "" {
		return "", false, nil
	}
	if _, err := os.Stat(filepath.Join(n.CertsDir(), "client."+contexts.DefaultUser+".crt")); err != nil {
		return "", false, nil // the operator keeps it elsewhere
	}
	c := &contexts.Context{Name: name, Addrs: []string{n.Advertise()}, CertsDir: n.CertsDir()}
	old, err := contexts.Read(a.ConfigHome, name)
	if err == nil && old.CertsDir != c.CertsDir {
		if _, err := os.Stat(filepath.Join(old.CertsDir, "ca.crt")); err == nil {
			a.note("note: context %s is that of another node (%s) and stays; --save-context NAME makes one for this node", name, old.CertsDir)
			return "", false, nil
		}
	}
	if err == nil && old.CertsDir == c.CertsDir { // keep what the person added
		c.User, c.Account, c.Bucket = old.User, old.Account, old.Bucket
	}
	if err := contexts.Write(a.ConfigHome, c); err != nil {
		return "", false, err
	}
	is, err := contexts.Current(a.ConfigHome)
	if err != nil {
		return name, false, err
	}
	if is != "" && is != name {
		if _, err := contexts.Read(a.ConfigHome, is); err == nil {
			return name, false, nil
		}
	}
	return name, true, contexts.SetCurrent(a.ConfigHome, name)
}

// nodeStartError adds the way out of what starting and running a node can meet.
func nodeStartError(err error, s *node.Settings) error {
	var typed *certs.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrPortTaken):
		return exit.WithFix(err, "end what listens there (ss -tulpn shows it; a node: pleiades node status), or choose another port with that flag, as in 127.0.0.1:0")
	case errors.Is(err, node.ErrAddress):
		return exit.WithFix(err, "ip addr shows this machine's addresses")
	case errors.Is(err, node.ErrNeedsCertificates):
		return exit.WithFix(err, "make them: D=/etc/pleiades/certs; pleiades cert create-ca --certs-dir $D; pleiades cert create-node n1 --san HOST-OR-IP,... --certs-dir $D; "+
			"pleiades cert create-client root --certs-dir $D; then start with --certs-dir $D. Or listen on 127.0.0.1")
	case errors.Is(err, node.ErrWrongNode):
		return exit.WithFix(err, "start with the directory and the certificates that belong together")
	case errors.Is(err, node.ErrSettings):
		return exit.WithFix(err, "pleiades node start --help lists the settings; pleiades config show --node --origin says who set them")
	case errors.Is(err, engine.ErrStalled):
		return &exit.Error{Code: exit.Unavailable, Err: err, Fix: "look at the disk under " + s.Dir + " (dmesg), then start the node again; what was acknowledged is safe"}
	case errors.Is(err, engine.ErrInUse):
		return &exit.Error{Code: exit.Unavailable, Err: err, Fix: runningFix(s.Dir)}
	case errors.Is(err, hlc.ErrClockBehind):
		return &exit.Error{Code: exit.Unavailable, Err: err, Fix: "set this machine's clock right, or wait until it has caught up with the store"}
	case errors.As(err, &typed):
		return certError(err)
	case errors.Is(err, fs.ErrNotExist):
		return exit.WithFix(err, "make the directory above it, or choose another one: --dir DIR")
	}
	return openError(err)
}

// runningFix says who holds a directory.
func runningFix(dir string) string {
	f, err := node.Running(dir)
	if err != nil {
		return "wait until the other process is done, or stop it; a store is open in one process at a time"
	}
	return fmt.Sprintf("a node runs there since %s (pid %d): use it with --addr %s instead of --dir, or stop it: kill %d",
		f.Started.Format(time.DateTime), f.PID, f.Listen, f.PID)
}
