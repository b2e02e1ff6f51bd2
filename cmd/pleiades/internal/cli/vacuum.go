package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/progress"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// vacuumFlags are the policy and the range, which plan and run share, and how run goes about it.
type vacuumFlags struct {
	allKeys, deleted, expired bool
	keepNewest                int
	olderThan                 age
	prefix, start             string

	dryRun                        bool
	keysPerSecond, bytesPerSecond int64
	compact                       string
}

func (a *App) vacuumGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "vacuum", Short: "Remove versions that nobody wants",
		Long: `Remove versions that nobody wants, and give their space back. Without flags these are the old versions of keys that are
marked vacuumable (kv put --vacuumable, kv mark), and of any key those beyond the bucket's max_versions. The latest
version of a key never goes by itself, and what is left keeps its numbers and timestamps.`,
		Example: lines("pleiades vacuum plan --all-keys --keep-newest 10", "pleiades vacuum run --older-than 30d --deleted"),
	}
	cmd.AddCommand(a.vacuumPlan(), a.vacuumRun())
	return cmd
}

// declare adds the flags of the policy.
func (f *vacuumFlags) declare(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&f.allKeys, "all-keys", false, "keys that are not marked vacuumable too; needs --keep-newest or --older-than")
	fs.IntVar(&f.keepNewest, "keep-newest", 0, "keep this many versions of a key, the latest included, 1 to 255 (default 1)")
	fs.Var(&f.olderThan, "older-than", "keep what was current at any time since then, such as 24h or 30d")
	fs.BoolVar(&f.deleted, "deleted", false, "remove deleted keys with their history, marked or not")
	fs.BoolVar(&f.expired, "expired", false, "remove expired keys with their history, marked or not")
	fs.StringVar(&f.prefix, "prefix", "", "only keys that begin with these bytes")
	fs.StringVar(&f.start, "start", "", "only this key and those behind it; an interrupted run says where to go on")
}

func (f *vacuumFlags) policy() vacuum.Policy {
	return vacuum.Policy{
		AllKeys: f.allKeys, KeepNewest: f.keepNewest, KeepNewerThan: time.Duration(f.olderThan), Deleted: f.deleted, Expired: f.expired,
	}
}

// check refuses what the policy and the options would, in the words of the flags.
func (f *vacuumFlags) check(keepNewestSet bool) error {
	bad := func(fix, format string, args ...any) error {
		return exit.New(exit.Usage, fix, "%w: "+format, append([]any{base.ErrInvalid}, args...)...)
	}
	switch {
	case keepNewestSet && f.keepNewest == 0:
		return bad("the latest version always stays: write --keep-newest 1; whole keys go with --deleted, --expired or kv purge", "--keep-newest 0")
	case f.keepNewest < 0 || f.keepNewest > versioning.MaxVersions:
		return bad("give a number from 1 to 255", "--keep-newest %d", f.keepNewest)
	case f.olderThan < 0:
		return bad("give a time span above 0, such as 24h or 30d", "--older-than %s", time.Duration(f.olderThan))
	case f.allKeys && f.keepNewest == 0 && f.olderThan == 0:
		return bad("say what stays: --keep-newest N or --older-than AGE", "--all-keys alone would take the history of every key")
	case f.keysPerSecond < 0:
		return bad("leave it out for no limit", "--keys-per-second %d", f.keysPerSecond)
	case f.bytesPerSecond < 0:
		return bad("leave it out for no limit", "--bytes-per-second %d", f.bytesPerSecond)
	}
	return nil
}

func (f *vacuumFlags) options(cmd *cobra.Command) (*vacuum.Options, error) {
	if err := f.check(cmd.Flags().Changed("keep-newest")); err != nil {
		return nil, err
	}
	opt := &vacuum.Options{DryRun: f.dryRun, KeysPerSecond: f.keysPerSecond, BytesPerSecond: f.bytesPerSecond}
	var err error
	if opt.Prefix, err = bytearg.Parse(f.prefix); err != nil {
		return nil, err
	}
	if opt.Start, err = bytearg.Parse(f.start); err != nil {
		return nil, err
	}
	switch f.compact {
	case "", "auto":
	case "always":
		opt.Compact = vacuum.CompactAlways
	case "never":
		opt.Compact = vacuum.CompactNever
	default:
		return nil, exit.New(exit.Usage, "write --compact auto, always or never", "%w: --compact %q", base.ErrInvalid, f.compact)
	}
	return opt, nil
}

func (a *App) vacuumPlan() *cobra.Command {
	var f vacuumFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "List what vacuum run would remove, key by key",
		Long: `List what vacuum run with the same flags would remove: the key, how many versions go, the lowest number that stays (none
when the key goes as a whole), bytes, and the reason. Nothing is changed. vacuum run --dry-run prints only the sums, and
so does this at a node.`,
		Example: lines("pleiades vacuum plan", "pleiades vacuum plan --all-keys --keep-newest 10", "pleiades vacuum plan --deleted --older-than 30d -o json"),
		Args:    cobra.NoArgs,
	}
	f.declare(cmd)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		opt, err := f.options(cmd)
		if err != nil {
			return err
		}
		return a.withStore(ctx, read, func(s *session) error {
			if s.atNode() {
				f.dryRun = true
				return a.runVacuumAtNode(ctx, s, &f, opt)
			}
			return a.planVacuum(ctx, s, f.policy(), opt)
		})
	})
	return cmd
}

func (a *App) planVacuum(ctx context.Context, s *session, policy vacuum.Policy, opt *vacuum.Options) error {
	out, err := a.out().Stream("key")
	if err != nil {
		return err
	}
	var versions, bytes int64
	for step, err := range vacuum.Plan(ctx, s.versions, policy, opt) {
		if err != nil {
			return err
		}
		var oldest any
		if step.Op.Kind != versioning.OpPurge {
			oldest = step.Op.Oldest
		}
		err := out.Row(output.Row{
			output.F("key", output.Bytes(step.Op.Key)), output.F("versions", step.Versions), output.F("oldest_left", oldest),
			output.F("bytes", step.Bytes), output.F("reason", step.Reason.String()),
		})
		if err != nil {
			return err
		}
		versions += int64(step.Versions)
		bytes += step.Bytes
	}
	if err := out.Close(); err != nil {
		return err
	}
	a.note("would free %d versions of %d keys, %s", versions, out.Rows(), progress.Amount(bytes, "B"))
	return nil
}

func (a *App) vacuumRun() *cobra.Command {
	var f vacuumFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Remove versions that nobody wants, and give the space back",
		Long: `Remove versions in bounded batches, then compact what was changed, so that the disk gets the space back. The run can be
interrupted and repeated at any time: each batch is done or not done, and nothing is done twice.`,
		Example: lines("pleiades vacuum run", "pleiades vacuum run --all-keys --keep-newest 10 --dry-run", "pleiades vacuum run --older-than 30d --deleted --expired"),
		Args:    cobra.NoArgs,
	}
	f.declare(cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "only say what would be removed")
	fs.Int64Var(&f.keysPerSecond, "keys-per-second", 0, "look at no more keys a second (0: no limit)")
	fs.Int64Var(&f.bytesPerSecond, "bytes-per-second", 0, "remove no more bytes a second (0: no limit)")
	fs.StringVar(&f.compact, "compact", "auto", "compact the changed range: auto (when it pays), always or never")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		opt, err := f.options(cmd)
		if err != nil {
			return err
		}
		return a.withStore(ctx, read, func(s *session) error {
			if s.atNode() {
				return a.runVacuumAtNode(ctx, s, &f, opt)
			}
			return a.runVacuum(ctx, s, f.policy(), opt)
		})
	})
	return cmd
}

func (a *App) runVacuum(ctx context.Context, s *session, policy vacuum.Policy, opt *vacuum.Options) error {
	bar := a.bar("vacuum", 0, "keys")
	defer bar.Clear()
	opt.Pressure = vacuum.EnginePressure(s.eng)
	opt.Progress = func(r vacuum.Report) {
		bar.Set(r.Keys, fmt.Sprintf("%s, %d versions, %s", r.Phase, r.Versions, progress.Amount(r.Bytes, "B")))
	}
	r, err := vacuum.Run(ctx, s.versions, policy, opt)
	bar.Clear()
	if err != nil && r.Keys == 0 && r.Next == nil {
		return err
	}
	if err != nil && len(r.Next) > 0 {
		a.note("to go on there: --start %s", bytearg.Format(r.Next))
	}
	return errors.Join(err, a.vacuumed(s.bucket.ID(), r))
}

// vacuumed prints the report of a run.
func (a *App) vacuumed(bucket keys.BucketID, r vacuum.Report) error {
	if !a.out().Structured() {
		return a.out().Line(r.String())
	}
	var after any
	if r.Phase == vacuum.PhaseDone && !r.DryRun {
		after = r.DiskAfter
	}
	return a.out().Object(output.Row{
		output.F("bucket", uint64(bucket)), output.F("dry_run", r.DryRun), output.F("keys", r.Keys), output.F("trimmed", r.Trimmed),
		output.F("purged", r.Purged), output.F("versions", r.Versions), output.F("bytes", r.Bytes), output.F("skipped", r.Skipped),
		output.F("compacted", r.Compacted), output.F("disk_bytes_before", r.DiskBefore), output.F("disk_bytes_after", after),
		output.F("waited_seconds", r.Waited.Seconds()),
	})
}
