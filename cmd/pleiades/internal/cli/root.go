package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// helpTemplate leads with the examples: they answer most questions.
const helpTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

const usageTemplate = `Usage:{{if not .HasSubCommands}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

// root builds the whole tree of commands.
func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pleiades",
		Short: "Pleiades: a versioned key-value store",
		Long: `Pleiades: a versioned key-value store. Every put makes a new version of its key; up to 255 are kept.

Keys and values are bytes: plain text, 'quoted' with \xNN escapes, 0x61 in hexadecimal, b64:YQ== in base64;
a value can also be - for standard input or @FILE. Standard output carries data only.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 unavailable (try again), 6 denied,
7 check failed, 130 interrupted.`,
		Example: `  pleiades node start             # in another terminal; or on a directory, without a node: export PLEIADES_DIR=data
  pleiades kv put greeting hello
  pleiades kv get greeting
  pleiades kv history greeting`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.resolve(cmd)
		},
	}
	declareSettings(root)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.kv(), a.vacuumGroup(), a.accountGroup(), a.bucketGroup(), a.fabricGroup(), a.netGroup(), a.check(), a.shardGroup(), a.keysGroup(), a.configCommand(), a.certGroup(), a.doctorCommand(), a.nodeGroup(), a.bench(), a.version(), a.completion(root))
	root.InitDefaultHelpCmd()
	finish(root)
	completeValues(root)
	return root
}

// finish gives every group its answer to a missing or unknown command.
func finish(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.Name() == "help" {
			c.Hidden = true // --help does the same
			continue
		}
		finish(c)
	}
	if !cmd.HasSubCommands() || cmd.Runnable() {
		return
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		fix := "see: " + cmd.CommandPath() + " --help"
		cmd.SuggestionsMinimumDistance = 2
		if below := below(cmd, args[0]); len(below) > 0 {
			fix = "did you mean: " + strings.Join(below, ", or ")
		} else if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			fix = "did you mean: " + cmd.CommandPath() + " " + strings.Join(near, ", or "+cmd.CommandPath()+" ")
		}
		return exit.New(exit.Usage, fix, "%w: %q is no command", base.ErrInvalid, args[0])
	}
}

// below returns the paths of the commands called name in the groups of cmd.
func below(cmd *cobra.Command, name string) []string {
	var paths []string
	for _, group := range cmd.Commands() {
		for _, c := range group.Commands() {
			if c.Name() == name {
				paths = append(paths, c.CommandPath())
			}
		}
	}
	return paths
}

// run wraps the code of a command: with the time limit, and so that Run can tell its errors from cobra's.
func (a *App) run(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		ctx := cmd.Context()
		if d := a.timeout(); d > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d)
			defer cancel()
		}
		return fn(ctx, args)
	}
}

// lines joins the examples of a command.
func lines(examples ...string) string { return "  " + strings.Join(examples, "\n  ") }
