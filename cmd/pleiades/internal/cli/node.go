package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/config"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/node"
)

func (a *App) nodeGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "node", Short: "Run a node, and ask one how it is",
		Example: lines("pleiades node start", "pleiades node status", "pleiades node status --checks"),
	}
	cmd.AddCommand(a.nodeStart(), a.nodeStatus())
	return cmd
}

// nodeSettings are the settings of a node, in the form of the command line's own. Those that both have (dir, certs-dir,
// accept-data-loss) have the node's defaults.
func nodeSettings() []config.Setting {
	var list []config.Setting
	for _, d := range node.Definitions() {
		list = append(list, config.Setting{Name: d.Name, Default: d.Default, Help: d.Help, Check: d.Check})
	}
	return append(list, config.Setting{
		Name: "save-context", Default: "local", Check: checkContextName,
		Help: "context that the node writes for its clients (empty: none)",
	})
}

func checkContextName(s string) error {
	if strings.ContainsAny(s, "/\\ ") || strings.HasPrefix(s, ".") {
		return fmt.Errorf("%q is no name", s)
	}
	return nil
}

// names of settings.
func names(list []config.Setting) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.Name
	}
	return out
}

// withoutGlobal returns those settings of a node that are not global flags too.
func withoutGlobal(list []config.Setting) []config.Setting {
	global := names(settings)
	return slices.DeleteFunc(slices.Clone(list), func(s config.Setting) bool { return slices.Contains(global, s.Name) })
}

// declareFlags adds a flag for each setting.
func declareFlags(fs *pflag.FlagSet, list []config.Setting) {
	for _, s := range list {
		usage := s.Help + " [" + s.Env() + "]"
		if s.Default == "false" || s.Default == "true" {
			fs.Bool(s.Name, s.Default == "true", usage)
			continue
		}
		fs.String(s.Name, s.Default, usage)
	}
}

// resolveNode reads the settings of a node: flags, variables, the --config file, the machine's file. A context says how to
// reach a node, not what one is, so none is read.
func (a *App) resolveNode(cmd *cobra.Command) (*config.Config, error) {
	if err := a.misspelled(); err != nil {
		return nil, err
	}
	list := nodeSettings()
	src, err := a.sources(cmd)
	if err != nil {
		return nil, err
	}
	src.Files = slices.DeleteFunc(src.Files, func(f config.File) bool { return f.Context })
	src.Others = names(settings)
	return config.Resolve(list, src)
}

// misspelled refuses variables that were probably meant to be a setting. Others that begin with PLEIADES_ are left alone:
// they belong to somebody else, such as a service of that name in Kubernetes.
func (a *App) misspelled() error {
	if a.Environ == nil {
		return nil
	}
	known := []string{"PLEIADES_CONFIG", "PLEIADES_CONTEXT", "PLEIADES_CONFIG_HOME"}
	for _, s := range append(nodeSettings(), settings...) {
		known = append(known, s.Env())
	}
	for _, v := range a.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "PLEIADES_") || slices.Contains(known, name) {
			continue
		}
		if near := config.Near(name, known); near != "" {
			return exit.New(exit.Usage, "did you mean: "+near, "%w: the variable %s is no setting", base.ErrInvalid, name)
		}
	}
	return nil
}

// settingsOf puts resolved settings into those of a node.
func settingsOf(cfg *config.Config) (*node.Settings, error) {
	s := node.Defaults()
	s.Origins = map[string]string{}
	for _, d := range node.Definitions() {
		v := cfg.Get(d.Name)
		if err := s.Set(d.Name, v.Text); err != nil {
			return nil, err // was checked when it was resolved
		}
		s.Origins[d.Name] = v.Origin
	}
	return s, nil
}
