package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// removal is what del and purge have in common: they remove one key or all with a prefix.
type removal struct {
	verb, past string
	prefix     string
	dryRun     bool
	// deleted keys, which only purge still has a use for, are part of the prefix.
	deleted bool
	one     func(ctx context.Context, s *session, key []byte) error
	add     func(b removals, key []byte) error
}

// removalBatch is how many keys of a prefix go in one atomic batch.
const removalBatch = 1000

func (a *App) kvDel() *cobra.Command {
	r := &removal{verb: "delete", past: "deleted"}
	r.one = func(ctx context.Context, s *session, key []byte) error {
		_, err := s.bucket.Delete(ctx, key, nil)
		return err
	}
	r.add = func(b removals, key []byte) error { return b.Delete(key) }
	return a.removalCommand(r, &cobra.Command{
		Use:   "del KEY | del --prefix P",
		Short: "Delete keys; their history stays readable",
		Long: `Delete keys and print how many were deleted. A deletion is a version like any other: older ones stay readable until
vacuum removes them, and the next put goes on counting. --prefix asks on a terminal and needs --yes elsewhere.`,
		Example: lines(
			"pleiades kv del greeting",
			"pleiades kv del --prefix user/ --dry-run",
			"pleiades kv del --prefix user/ --yes",
		),
	})
}

func (a *App) kvPurge() *cobra.Command {
	r := &removal{verb: "purge", past: "purged", deleted: true}
	r.one = func(ctx context.Context, s *session, key []byte) error {
		_, err := s.bucket.Purge(ctx, key, nil)
		return err
	}
	r.add = func(b removals, key []byte) error { return b.Purge(key) }
	return a.removalCommand(r, &cobra.Command{
		Use:   "purge KEY | purge --prefix P",
		Short: "Remove keys with all their versions, for good",
		Long: `Remove keys with all their versions and print how many were removed. Nothing of them can be read afterwards, and
their versions count from 1 again. --prefix, which includes deleted keys, asks on a terminal and needs --yes elsewhere,
and gives the space back to the disk.`,
		Example: lines(
			"pleiades kv purge greeting",
			"pleiades kv purge --prefix user/ --dry-run",
			"pleiades kv purge --prefix user/ --yes",
		),
	})
}

func (a *App) removalCommand(r *removal, cmd *cobra.Command) *cobra.Command {
	fs := cmd.Flags()
	fs.StringVar(&r.prefix, "prefix", "", r.verb+" all keys that begin with these bytes")
	fs.BoolVar(&r.dryRun, "dry-run", false, "only print how many keys it would be")
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		byPrefix := fs.Changed("prefix")
		if byPrefix == (len(args) == 1) {
			return exit.New(exit.Usage, "give a KEY, or --prefix P; --prefix '' means every key", "%w: nothing or too much to %s", base.ErrInvalid, r.verb)
		}
		text := r.prefix
		if !byPrefix {
			text = args[0]
		}
		key, err := bytearg.Parse(text)
		if err != nil {
			return err
		}
		return a.withStore(ctx, read, func(s *session) error {
			if byPrefix {
				return a.removePrefix(ctx, s, r, key)
			}
			return a.removeOne(ctx, s, r, key)
		})
	})
	return cmd
}

func (a *App) removeOne(ctx context.Context, s *session, r *removal, key []byte) error {
	d, err := s.bucket.Describe(ctx, key)
	if err == nil && !r.deleted && !d.LiveAt(a.now()) {
		err = fmt.Errorf("%w: key %s", versioning.ErrNotFound, bytearg.Format(key))
	}
	if err != nil {
		return a.missing(ctx, s, key, err)
	}
	if !r.dryRun {
		if err := r.one(ctx, s, key); err != nil {
			return a.missing(ctx, s, key, err)
		}
	}
	return a.removed(r, 1)
}

func (a *App) removePrefix(ctx context.Context, s *session, r *removal, prefix []byte) error {
	opt := &versioning.ScanOptions{Prefix: prefix, Deleted: r.deleted, Borrow: true}
	total, err := a.countKeys(ctx, s, opt)
	if err != nil {
		return err
	}
	if total == 0 || r.dryRun {
		return a.removed(r, total)
	}
	if err := a.confirm(ctx, fmt.Sprintf("%s %d keys that begin with %s", r.verb, total, bytearg.Format(prefix))); err != nil {
		return err
	}
	bar := a.bar(r.verb, total, "keys")
	defer bar.Clear()
	done := int64(0)
	batch := s.newRemovals()
	flush := func() error {
		n := int64(batch.Len())
		// An interruption waits for the batch: what was counted is then exactly what is gone.
		if err := batch.Commit(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		done += n
		batch = s.newRemovals()
		bar.Set(done, "")
		return ctx.Err()
	}
	for e, err := range s.bucket.Scan(ctx, opt) {
		if err == nil {
			err = r.add(batch, e.Key)
		}
		if err == nil && batch.Len() == removalBatch {
			err = flush()
		}
		if err != nil {
			bar.Clear()
			return errors.Join(err, a.removed(r, done))
		}
	}
	err = flush()
	bar.Clear()
	if err == nil && r.deleted && !s.atNode() {
		// The space of so many records should not wait for a compaction that may never come.
		bounds := keys.PrefixBounds(s.bucket.ID(), prefix)
		err = s.shard.Compact(ctx, bounds.Lower, bounds.Upper)
	}
	return errors.Join(err, a.removed(r, done))
}

// countKeys counts what a scan would return.
func (a *App) countKeys(ctx context.Context, s *session, opt *versioning.ScanOptions) (int64, error) {
	n := int64(0)
	for _, err := range s.bucket.Scan(ctx, opt) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func (a *App) removed(r *removal, n int64) error {
	if a.out().Structured() {
		return a.out().Object(output.Row{output.F(r.past, n), output.F("dry_run", r.dryRun)})
	}
	if r.dryRun {
		return a.out().Line(fmt.Sprintf("would be %s: %d", r.past, n))
	}
	return a.out().Line(fmt.Sprintf("%s %d", r.past, n))
}
