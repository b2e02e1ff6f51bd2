package cli

import (
	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// flagValues are the flags that take one of a few words, wherever they stand.
var flagValues = map[string][]string{
	"output":   {"table", "json", "jsonl", "yaml", "raw"},
	"format":   {"jsonl", "tsv", "deb", "dump"},
	"on-error": {"stop", "skip"},
	"rollover": {"relabel", "cascade", "refuse"},
	"compact":  {"auto", "always", "never"},
}

// completeValues has the shell complete what flags take.
func completeValues(cmd *cobra.Command) {
	for name, values := range flagValues {
		if cmd.LocalFlags().Lookup(name) != nil {
			// It fails for a flag that the command does not have or that is registered already, and neither can be.
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, c := range cmd.Commands() {
		completeValues(c)
	}
}

func (a *App) completion(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Write a completion script for a shell",
		Long: `Write a completion script for a shell to standard output. The one for bash needs bash 4 and the functions of the
package bash-completion (Debian: apt install bash-completion), loaded before it.`,
		Example: lines(
			"source <(pleiades completion bash)",
			`pleiades completion zsh > "${fpath[1]}/_pleiades"`,
			"pleiades completion fish | source",
		),
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(_ *cobra.Command, args []string) error {
			a.started = true
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			return exit.New(exit.Usage, "use bash, zsh, fish or powershell", "%w: no completion for %q", base.ErrInvalid, args[0])
		},
	}
}
