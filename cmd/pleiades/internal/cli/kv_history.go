package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) kvHistory() *cobra.Command {
	var limit int
	var values bool
	cmd := &cobra.Command{
		Use:   "history KEY",
		Short: "List the versions of a key, newest first",
		Long: `List the versions of a key, newest first: number, timestamp, size, and whether the version is a deletion. How many
of the versions that the bucket keeps are used is noted on standard error.`,
		Example: lines(
			"pleiades kv history greeting",
			"pleiades kv history greeting --values --limit 3",
			"pleiades kv history greeting -o jsonl",
		),
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			if limit < 0 {
				return exit.New(exit.Usage, "leave --limit out for all versions", "%w: a limit of %d", base.ErrInvalid, limit)
			}
			key, err := bytearg.Parse(args[0])
			if err != nil {
				return err
			}
			return a.withStore(ctx, read, func(s *session) error { return a.history(ctx, s, key, limit, values) })
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most this many versions (0: all)")
	cmd.Flags().BoolVar(&values, "values", false, "show the values too")
	return cmd
}

func (a *App) history(ctx context.Context, s *session, key []byte, limit int, values bool) error {
	d, err := s.bucket.Describe(ctx, key)
	if err != nil {
		return a.missing(ctx, s, key, err)
	}
	settings, err := s.bucket.Settings(ctx)
	if err != nil {
		return err
	}
	raw := ""
	if values {
		raw = "value"
	}
	out, err := a.out().Stream(raw)
	if err != nil {
		return err
	}
	opt := &versioning.HistoryOptions{Values: values}
	if limit > 0 {
		opt.From = max(1, d.Versions-limit+1)
	}
	for v, err := range s.bucket.History(ctx, key, opt) {
		if err != nil {
			return err
		}
		row := output.Row{
			output.F("version", v.Version), output.F("hlc", v.Timestamp.String()), output.F("time", clockTime(v.Timestamp.Time())),
			output.F("size", v.Size), output.F("deleted", v.Tombstone), output.F("vacuumable", d.Vacuumable), output.F("expires", clockTime(v.ExpireAt)),
		}
		if values {
			row = append(row, output.F("value", output.Bytes(v.Data)))
		}
		if err := out.Row(row); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	a.note("%s", usage(d, settings))
	return nil
}

// usage says how many of a key's versions are used and what the next put does.
func usage(d versioning.Descriptor, s versioning.Settings) string {
	text := fmt.Sprintf("%d/%d versions", d.History()+1, s.MaxVersions)
	switch {
	case d.Versions < s.MaxVersions:
		return text + fmt.Sprintf("; the next put makes version %d", d.Versions+1)
	case s.Rollover == versioning.Refuse && d.Oldest <= d.Versions+1-s.MaxVersions:
		return text + "; the next put is refused"
	default:
		return text + "; the next put rolls over: numbers go down" + goes(d, s)
	}
}

// goes says what a put that rolls over drops.
func goes(d versioning.Descriptor, s versioning.Settings) string {
	if d.Versions+1-s.MaxVersions < d.Oldest {
		return ""
	}
	return " and the oldest version goes"
}
