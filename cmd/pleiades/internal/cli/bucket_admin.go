package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

// bucketRow is what a node says about a bucket.
func bucketRow(b client.BucketInfo) output.Row {
	return output.Row{
		output.F("bucket", uint64(b.ID)), output.F("name", output.Bytes(b.Name)), output.F("account", output.Bytes(b.Account)),
		output.F("state", b.State.String()), output.F("created", clockTime(b.Created)),
		output.F("max_versions", b.Settings.MaxVersions), output.F("rollover", b.Settings.Rollover.String()),
		output.F("keys", b.Usage.Keys), output.F("versions", b.Usage.Versions), output.F("bytes", b.Usage.Bytes),
		output.F("max_keys", limit(b.Settings.MaxKeys)), output.F("max_bytes", limit(b.Settings.MaxBytes)),
	}
}

// limit shows a limit; nil for none.
func limit(n *uint64) any {
	if n == nil || *n == 0 {
		return nil
	}
	return *n
}

// bucketLimits are the flags of a bucket's limits.
type bucketLimits struct{ keys, bytes uint64 }

func (l *bucketLimits) declare(fs *pflag.FlagSet) {
	fs.Uint64Var(&l.keys, "max-keys", 0, "keys that the bucket may hold (0: no limit); at a node")
	fs.Uint64Var(&l.bytes, "max-bytes", 0, "bytes of keys and values that the bucket may hold (0: no limit); at a node")
}

func (l *bucketLimits) changed(fs *pflag.FlagSet) bool {
	return fs.Changed("max-keys") || fs.Changed("max-bytes")
}

// of returns the settings that the flags name.
func (l *bucketLimits) of(fs *pflag.FlagSet) client.BucketSettings {
	var s client.BucketSettings
	if fs.Changed("max-keys") {
		s.MaxKeys = &l.keys
	}
	if fs.Changed("max-bytes") {
		s.MaxBytes = &l.bytes
	}
	return s
}

func (a *App) setLimits(ctx context.Context, s *session, set client.BucketSettings) error {
	if !s.atNode() {
		return exit.New(exit.Usage, "give --addr HOST:PORT of a node", "%w: limits are kept by a node, not in a directory", base.ErrInvalid)
	}
	info, err := s.remote.b.Info(ctx)
	if err != nil {
		return err
	}
	_, err = s.client.SetBucket(ctx, info.Account+"/"+info.Name, set)
	return err
}

func (a *App) bucketCreate() *cobra.Command {
	var limits bucketLimits
	var maxVersions int
	var rollover string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a bucket at a node",
		Long: `Make a bucket and print what it is. NAME has 1 to 64 letters, digits, '-', '_' and '.', and begins with a letter or
digit; ACCOUNT/NAME puts it into an account other than that of the settings. A directory needs no creation of buckets.`,
		Example: lines("pleiades bucket create stars", "pleiades bucket create maia/stars --max-versions 10", "pleiades bucket create logs --max-bytes 1000000000"),
		Args:    cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	limits.declare(fs)
	fs.IntVar(&maxVersions, "max-versions", versioning.MaxVersions, "versions of a key that are kept, 1 to 255")
	fs.StringVar(&rollover, "rollover", "relabel", "relabel, cascade or refuse")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		settings := limits.of(fs)
		settings.MaxVersions = maxVersions
		if maxVersions < 1 {
			return fmt.Errorf("%w: %d versions, allowed are 1 to %d", client.ErrInvalidSettings, maxVersions, versioning.MaxVersions)
		}
		kind, err := versioning.ParseRollover(rollover)
		if err != nil {
			return err
		}
		for remote, local := range rollovers {
			if local == kind {
				settings.Rollover = remote
			}
		}
		return a.needNode(ctx, func(c *client.Client) error {
			made, err := c.CreateBucket(ctx, a.bucketName(args[0]), &settings)
			if err != nil {
				return err
			}
			return a.out().Object(bucketRow(made))
		})
	})
	return cmd
}

func (a *App) bucketList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the buckets of an account",
		Long:    `List the buckets of the account in the settings, which is "default" unless --account says otherwise; --all lists those of all accounts.`,
		Example: lines("pleiades bucket list", "pleiades bucket list --account maia", "pleiades bucket list --all -o json"),
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&all, "all", false, "the buckets of all accounts")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		account := a.text("account")
		if account == "" {
			account = "default"
		}
		if all {
			account = ""
		}
		return a.needNode(ctx, func(c *client.Client) error {
			out, err := a.out().Stream("name")
			if err != nil {
				return err
			}
			for b, err := range c.Buckets(ctx, account) {
				if err == nil {
					err = out.Row(bucketRow(b))
				}
				if err != nil {
					return err
				}
			}
			return out.Close()
		})
	})
	return cmd
}

func (a *App) bucketDelete() *cobra.Command {
	var onlyEmpty bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a bucket with all of its data",
		Long: `Remove a bucket with all of its data, for good, and wait until all of it is gone. An interruption does not stop the node;
the same command follows it again. It asks on a terminal, and needs --yes elsewhere.`,
		Example: lines("pleiades bucket delete stars --yes", "pleiades bucket delete maia/stars --only-empty --yes", "pleiades bucket delete stars --yes -o json"),
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&onlyEmpty, "only-empty", false, "refuse a bucket that has keys")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.needNode(ctx, func(c *client.Client) error {
			info, err := c.BucketInfo(ctx, a.bucketName(args[0]))
			if err != nil {
				return err
			}
			if err := a.confirm(ctx, fmt.Sprintf("remove bucket %s/%s with %d keys", info.Account, info.Name, info.Usage.Keys)); err != nil {
				return err
			}
			bar := a.bar("removing", int64(info.Usage.Keys), "keys")
			done, err := c.DeleteBucket(ctx, info.Account+"/"+info.Name, &client.RemoveOptions{
				OnlyEmpty: onlyEmpty, Progress: func(r client.Removal) { bar.Set(int64(r.Keys), "") },
			})
			bar.Clear()
			if err != nil {
				return err
			}
			return a.gone(output.F("bucket", output.Bytes(info.Account+"/"+info.Name)), done, false)
		})
	})
	return cmd
}

// gone prints what a removal removed.
func (a *App) gone(what output.Field, r client.Removal, buckets bool) error {
	if a.out().Structured() {
		return a.out().Object(output.Row{what, output.F("buckets", r.Buckets), output.F("keys", r.Keys), output.F("bytes", r.Bytes)})
	}
	text := fmt.Sprintf("removed %d keys, %d bytes", r.Keys, r.Bytes)
	if buckets {
		text += fmt.Sprintf(" in %d buckets", r.Buckets)
	}
	return a.out().Line(text)
}
