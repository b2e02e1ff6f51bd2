package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

func (a *App) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the settings", Example: lines("pleiades config show", "pleiades config show --origin")}
	var origin, ofNode bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Show every setting, and who set it",
		Long: `Show every setting. The first of these that names a setting wins, and it is no error if several do:
flag, PLEIADES_* variable, --config file, --context file, the machine's file, the default.
Files hold lines such as dir = "data" in the manner of TOML.`,
		Example: lines(
			"pleiades config show",
			"PLEIADES_DIR=data pleiades config show --origin",
			"pleiades config show --config my.toml -o json",
			"pleiades config show --node --origin",
		),
		Args: cobra.NoArgs,
	}
	show.RunE = a.run(func(context.Context, []string) error {
		cfg := a.cfg
		if ofNode {
			var err error
			if cfg, err = a.resolveNode(show); err != nil {
				return err
			}
		}
		s, err := a.out().Stream("value")
		if err != nil {
			return err
		}
		for _, v := range cfg.All() {
			row := output.Row{output.F("name", v.Setting.Name), output.F("value", output.Bytes(v.Text))}
			if origin {
				row = append(row, output.F("origin", v.Origin))
			}
			if err := s.Row(row); err != nil {
				return err
			}
		}
		return s.Close()
	})
	show.Flags().BoolVar(&ofNode, "node", false, "show the settings of a node: those that pleiades node start would take")
	show.Flags().BoolVar(&origin, "origin", false, "show where each value comes from")
	cmd.AddCommand(show)
	return cmd
}
