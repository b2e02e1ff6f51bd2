package cli

import (
	"github.com/spf13/cobra"
)

func (a *App) kv() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Read and write keys and their versions",
		Example: lines(
			"pleiades kv put user/7 @user.json",
			"pleiades kv scan --prefix user/",
			"apt-cache dumpavail | pleiades kv load -",
		),
	}
	cmd.AddCommand(a.kvPut(), a.kvGet(), a.kvHistory(), a.kvScan(), a.kvDel(), a.kvPurge(), a.kvCas(), a.kvDesc(), a.kvMark(),
		a.kvLoad(), a.kvDump(), a.kvStat())
	return cmd
}
