package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/engine"
)

func (a *App) shardClone() *cobra.Command {
	return &cobra.Command{
		Use:   "clone SHARD NEW",
		Short: "Copy a shard under a new number, by hard links",
		Long: `Copy a shard under a new number. The files are linked, not copied: it takes milliseconds and no space until
one of the two changes.`,
		Example: lines("pleiades shard clone 1001 1002", "pleiades shard clone 1001 1002 -o json",
			"pleiades --shard 1002 kv scan"),
		Args: cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			from, err := parseShard(args[0])
			if err != nil {
				return err
			}
			to, err := parseShard(args[1])
			if err != nil {
				return err
			}
			return a.withEngine(read, func(eng *engine.Engine) error {
				src, err := eng.Shard(from)
				if err != nil {
					return err
				}
				if _, err := eng.CloneShard(ctx, src, to); err != nil {
					return err
				}
				return a.shardDone("cloned", to)
			})
		}),
	}
}
