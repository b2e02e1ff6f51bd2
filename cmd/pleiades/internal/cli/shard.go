package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

func (a *App) shardGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "shard", Short: "List, make, drop and clone shards",
		Example: lines("pleiades shard list", "pleiades shard create 1002", "pleiades --shard 1002 kv put a b"),
	}
	cmd.AddCommand(a.shardList(), a.shardCreate(), a.shardDrop(), a.shardClone())
	return cmd
}

// parseShard reads the number of a shard that users may have.
func parseShard(arg string) (engine.ShardID, error) {
	if err := userShard(arg); err != nil {
		return 0, exit.New(exit.Usage, fmt.Sprintf("give a number from %d; those below are the system's", engine.FirstUserShard),
			"%w: %q is no shard", base.ErrInvalid, arg)
	}
	n, err := strconv.ParseUint(arg, 10, 64)
	return engine.ShardID(n), err
}

func (a *App) shardList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the shards of the store",
		Long: `List the shards of the store: number, incarnation, the column family that holds it (as ldb shows it) and
the approximate size of its files.`,
		Example: lines("pleiades shard list", "pleiades shard list -o json", "pleiades shard list -o raw"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			return a.withEngine(read, func(eng *engine.Engine) error {
				s, err := a.out().Stream("family")
				if err != nil {
					return err
				}
				for _, info := range eng.Shards() {
					shard, err := eng.Shard(info.ID)
					if err != nil {
						return err
					}
					size, err := dataSize(shard)
					if err != nil {
						return err
					}
					row := output.Row{
						output.F("shard", uint64(info.ID)), output.F("incarnation", uint64(info.Incarnation)),
						output.F("family", output.Bytes(info.Family)), output.F("bytes", size),
					}
					if err := s.Row(row); err != nil {
						return err
					}
				}
				return s.Close()
			})
		}),
	}
}

// dataSize is the approximate size of a shard's files, memtable included.
func dataSize(shard *engine.Shard) (uint64, error) {
	b := keys.NamespaceBounds(keys.NamespaceData)
	return shard.ApproximateSize(b.Lower, b.Upper)
}

// shardDone prints the answer of a command that changed a shard.
func (a *App) shardDone(verb string, id engine.ShardID) error {
	if a.out().Structured() {
		return a.out().Object(output.Row{output.F("shard", uint64(id)), output.F("done", verb)})
	}
	return a.out().Line(fmt.Sprintf("shard %d %s", id, verb))
}

func (a *App) shardCreate() *cobra.Command {
	return &cobra.Command{
		Use:   "create SHARD",
		Short: "Make an empty shard",
		Long:  "Make an empty shard. The first write to a shard makes it too; this is for those who want it earlier.",
		Example: lines("pleiades shard create 1002", "pleiades --dir data shard create 1002",
			"pleiades shard create 1002 -o json"),
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			id, err := parseShard(args[0])
			if err != nil {
				return err
			}
			return a.withEngine(write, func(eng *engine.Engine) error {
				if _, err := eng.CreateShard(ctx, id); err != nil {
					return err
				}
				return a.shardDone("created", id)
			})
		}),
	}
}

func (a *App) shardDrop() *cobra.Command {
	return &cobra.Command{
		Use:     "drop SHARD",
		Short:   "Remove a shard with everything in it",
		Long:    "Remove a shard with everything in it. Asks on a terminal, else needs --yes.",
		Example: lines("pleiades shard drop 1002", "pleiades shard drop 1002 --yes", "pleiades shard drop 1002 --yes -o json"),
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			id, err := parseShard(args[0])
			if err != nil {
				return err
			}
			return a.withEngine(read, func(eng *engine.Engine) error {
				if _, err := eng.Shard(id); err != nil {
					return err
				}
				if err := a.confirm(ctx, fmt.Sprintf("drop shard %d with everything in it", id)); err != nil {
					return err
				}
				if err := eng.DropShard(ctx, id); err != nil {
					return err
				}
				return a.shardDone("dropped", id)
			})
		}),
	}
}
