package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) bucketGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bucket", Short: "Make, list, change and remove buckets",
		Example: lines("pleiades bucket create stars", "pleiades bucket show stars", "pleiades bucket set --max-versions 10"),
	}
	cmd.AddCommand(a.bucketCreate(), a.bucketList(), a.bucketShow(), a.bucketSet(), a.bucketDelete())
	return cmd
}

func (a *App) bucketShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show how many versions the bucket keeps, and what a put beyond them does",
		Long: `Show the settings of the bucket, of the one in the settings when no NAME is given: how many versions of a key it keeps,
and what a put beyond them does. A node also says what is in it, and its limits.`,
		Example: lines("pleiades bucket show", "pleiades bucket show -B 2", "pleiades bucket show stars -o json"),
		Args:    cobra.MaximumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withBucket(ctx, read, args, func(s *session) error { return a.showBucket(ctx, s) })
		}),
	}
}

// withBucket is withStore for commands that take the name of a bucket as an argument too.
func (a *App) withBucket(ctx context.Context, mode access, args []string, fn func(*session) error) error {
	if len(args) == 0 {
		return a.withStore(ctx, mode, fn)
	}
	return a.needNode(ctx, func(c *client.Client) error {
		if err := checkBucket(args[0]); err != nil {
			return exit.New(exit.Usage, "write NAME or ACCOUNT/NAME", "%w: %w", base.ErrInvalid, err)
		}
		r := &remoteBucket{c: c, b: a.named(c, args[0])}
		var err error
		if r.id, err = r.b.ID(ctx); err != nil {
			return err
		}
		return fn(&session{bucket: r, client: c, remote: r})
	})
}

func (a *App) showBucket(ctx context.Context, s *session) error {
	if s.atNode() {
		info, err := s.remote.b.Info(ctx)
		if err != nil {
			return err
		}
		return a.out().Object(bucketRow(info))
	}
	settings, err := s.bucket.Settings(ctx)
	if err != nil {
		return err
	}
	var updated any
	if !settings.Updated.IsZero() {
		updated = settings.Updated.String()
	}
	return a.out().Object(output.Row{
		output.F("bucket", uint64(s.bucket.ID())), output.F("max_versions", settings.MaxVersions),
		output.F("rollover", settings.Rollover.String()), output.F("updated", updated),
	})
}

func (a *App) bucketSet() *cobra.Command {
	var maxVersions int
	var rollover string
	cmd := &cobra.Command{
		Use:   "set [NAME]",
		Short: "Change how many versions the bucket keeps, and what a put beyond them does",
		Long: `Change the settings of the bucket. Nothing that is stored changes by that; each key follows with its next put.
What is not named keeps its setting. Rollover: relabel drops the oldest version and renumbers the others without
touching them (the default); cascade moves their records too, up to 256 writes a put, so that a record's slot is always its
version's number; refuse fails a put that would drop a version.`,
		Example: lines("pleiades bucket set --max-versions 10", "pleiades bucket set --rollover refuse", "pleiades bucket set -B 2 --max-versions 1"),
		Args:    cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	var limits bucketLimits
	limits.declare(fs)
	fs.IntVar(&maxVersions, "max-versions", versioning.MaxVersions, "versions of a key that are kept, 1 to 255")
	fs.StringVar(&rollover, "rollover", "relabel", "relabel, cascade or refuse")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if !fs.Changed("max-versions") && !fs.Changed("rollover") && !limits.changed(fs) {
			return exit.New(exit.Usage, "give --max-versions N, --rollover R or both", "%w: nothing to set", base.ErrInvalid)
		}
		kind, err := versioning.ParseRollover(rollover)
		if err != nil {
			return err
		}
		return a.withBucket(ctx, write, args, func(s *session) error {
			if limits.changed(fs) {
				if err := a.setLimits(ctx, s, limits.of(fs)); err != nil {
					return err
				}
			}
			settings, err := s.bucket.Settings(ctx)
			if err != nil {
				return err
			}
			if fs.Changed("max-versions") {
				settings.MaxVersions = maxVersions
			}
			if fs.Changed("rollover") {
				settings.Rollover = kind
			}
			if fs.Changed("max-versions") || fs.Changed("rollover") {
				if err := s.bucket.SetSettings(ctx, settings); err != nil {
					return err
				}
			}
			return a.showBucket(ctx, s)
		})
	})
	return cmd
}
