package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

func (a *App) kvDesc() *cobra.Command {
	return &cobra.Command{
		Use:   "desc KEY",
		Short: "Show the descriptor of a key",
		Long: `Show the decoded descriptor (the record .d) of a key: how many versions it has, the oldest one left, how far the slots
are rotated, when it was created and written last, and its flags. Deleted keys have one too.`,
		Example: lines("pleiades kv desc greeting", "pleiades kv desc greeting -o json", "pleiades kv desc 0x00ff -o yaml"),
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			key, err := bytearg.Parse(args[0])
			if err != nil {
				return err
			}
			return a.withStore(ctx, read, func(s *session) error {
				d, err := s.bucket.Describe(ctx, key)
				if err != nil {
					return a.missing(ctx, s, key, err)
				}
				return a.out().Object(output.Row{
					output.F("key", output.Bytes(key)), output.F("versions", d.Versions), output.F("oldest", d.Oldest), output.F("base", d.Base),
					output.F("deleted", d.Deleted), output.F("vacuumable", d.Vacuumable),
					output.F("created", d.Created.String()), output.F("revision", d.Revision.String()),
					output.F("latest_bytes", d.LatestBytes), output.F("written_bytes", d.WrittenBytes), output.F("expires", clockTime(d.ExpireAt)),
				})
			})
		}),
	}
}

func (a *App) kvMark() *cobra.Command {
	return &cobra.Command{
		Use:   "mark KEY vacuumable|keep",
		Short: "Permit or forbid vacuum to remove old versions of a key",
		Long: `Set the flag that permits vacuum to remove old versions of a key, without writing a version. The latest version is
never removed.`,
		Example: lines("pleiades kv mark log/1 vacuumable", "pleiades kv mark contract keep", "pleiades kv mark log/1 vacuumable -o json"),
		Args:    cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			key, err := bytearg.Parse(args[0])
			if err != nil {
				return err
			}
			if args[1] != "vacuumable" && args[1] != "keep" {
				return exit.New(exit.Usage, "write vacuumable or keep", "%w: %q is no mark", base.ErrInvalid, args[1])
			}
			return a.withStore(ctx, read, func(s *session) error {
				res, err := s.bucket.SetVacuumable(ctx, key, args[1] == "vacuumable", nil)
				if err != nil {
					return a.missing(ctx, s, key, err)
				}
				if a.out().Structured() {
					return a.written(key, res)
				}
				return a.out().Line(fmt.Sprintf("%s %s", args[1], at(res.Revision)))
			})
		}),
	}
}
