package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) bucketGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bucket", Short: "Show and change the settings of a bucket",
		Example: lines("pleiades bucket show", "pleiades bucket set --max-versions 10"),
	}
	cmd.AddCommand(a.bucketShow(), a.bucketSet())
	return cmd
}

func (a *App) bucketShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show how many versions the bucket keeps, and what a put beyond them does",
		Example: lines("pleiades bucket show", "pleiades bucket show -B 2", "pleiades bucket show -o json"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withStore(ctx, read, func(s *session) error { return a.showBucket(ctx, s) })
		}),
	}
}

func (a *App) showBucket(ctx context.Context, s *session) error {
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
		Use:   "set",
		Short: "Change how many versions the bucket keeps, and what a put beyond them does",
		Long: `Change the settings of the bucket. Nothing that is stored changes by that; each key follows with its next put.
What is not named keeps its setting. Rollover: relabel drops the oldest version and renumbers the others without
touching them (the default); cascade moves their records too, up to 256 writes a put, so that a record's slot is always its
version's number; refuse fails a put that would drop a version.`,
		Example: lines("pleiades bucket set --max-versions 10", "pleiades bucket set --rollover refuse", "pleiades bucket set -B 2 --max-versions 1"),
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.IntVar(&maxVersions, "max-versions", versioning.MaxVersions, "versions of a key that are kept, 1 to 255")
	fs.StringVar(&rollover, "rollover", "relabel", "relabel, cascade or refuse")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if !fs.Changed("max-versions") && !fs.Changed("rollover") {
			return exit.New(exit.Usage, "give --max-versions N, --rollover R or both", "%w: nothing to set", base.ErrInvalid)
		}
		kind, err := versioning.ParseRollover(rollover)
		if err != nil {
			return err
		}
		return a.withStore(ctx, write, func(s *session) error {
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
			if err := s.bucket.SetSettings(ctx, settings); err != nil {
				return err
			}
			return a.showBucket(ctx, s)
		})
	})
	return cmd
}
