package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) check() *cobra.Command {
	var one, skipFiles bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify the store: every checksum and every invariant",
		Long: `Read every block of every table file and verify its checksum, then walk over every shard and verify that each key's
records agree: descriptors, version numbers, sizes, timestamps, checksums of values. Nothing is changed. What is found
is listed, and the exit code is 7; 0 means that everything is as it should be.`,
		Example: lines("pleiades check", "pleiades check --dir data -o json", "pleiades check --only-shard --shard 1002"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withEngine(read, func(eng *engine.Engine) error { return a.checkStore(ctx, eng, one, skipFiles) })
		}),
	}
	cmd.Flags().BoolVar(&one, "only-shard", false, "check the records of --shard only")
	cmd.Flags().BoolVar(&skipFiles, "skip-files", false, "do not read the table files as a whole first")
	return cmd
}

// checkTotals adds up the reports of all shards.
type checkTotals struct {
	shards, found int64
	report        versioning.CheckReport
}

func (t *checkTotals) add(r versioning.CheckReport) {
	t.shards++
	t.found += r.Found
	t.report.Keys += r.Keys
	t.report.Records += r.Records
	t.report.Bytes += r.Bytes
	t.report.Versions += r.Versions
	t.report.Tombstones += r.Tombstones
	t.report.Reserved += r.Reserved
	t.report.Buckets += r.Buckets
}

func (a *App) checkStore(ctx context.Context, eng *engine.Engine, one, skipFiles bool) error {
	var found []output.Row
	var t checkTotals
	finding := func(where any, what string) {
		found = append(found, output.Row{output.F("shard", where), output.F("finding", what)})
	}
	if !skipFiles {
		if err := a.checkFiles(ctx, eng); errors.Is(err, base.ErrCorruption) {
			t.found++
			finding(nil, err.Error())
		} else if err != nil {
			return err
		}
	}
	shards := eng.Shards()
	if one {
		shards = []engine.ShardInfo{{ID: a.shardID()}}
	}
	for _, info := range shards {
		report, err := a.checkShard(ctx, eng, info.ID)
		t.add(report)
		for _, f := range report.Findings {
			finding(uint64(info.ID), f.String())
		}
		if n := report.Found - int64(len(report.Findings)); n > 0 {
			finding(uint64(info.ID), fmt.Sprintf("and %d more", n))
		}
		if errors.Is(err, base.ErrCorruption) {
			// The walk itself met damage: the rest of this shard cannot be read, others can.
			t.found++
			finding(uint64(info.ID), err.Error())
		} else if err != nil {
			return err
		}
	}
	return a.checkResult(t, found)
}

// checkFiles verifies the blocks of all table files.
func (a *App) checkFiles(ctx context.Context, eng *engine.Engine) error {
	var bar barOnce
	err := eng.VerifyChecksums(ctx, func(done, total int64) {
		bar.of(a, "checking files", total, "B").Set(done, "")
	})
	bar.Clear()
	return err
}

func (a *App) checkShard(ctx context.Context, eng *engine.Engine, id engine.ShardID) (versioning.CheckReport, error) {
	shard, err := eng.Shard(id)
	if err != nil {
		return versioning.CheckReport{}, err
	}
	bar := a.bar(fmt.Sprintf("checking shard %d", id), 0, "records")
	defer bar.Clear()
	return versioning.Check(ctx, shard, &versioning.CheckOptions{Progress: func(r versioning.CheckReport) {
		bar.Set(r.Records, fmt.Sprintf("%d findings", r.Found))
	}})
}

func (a *App) checkResult(t checkTotals, found []output.Row) error {
	r := t.report
	err := a.out().Object(output.Row{
		output.F("shards", t.shards), output.F("keys", r.Keys), output.F("records", r.Records), output.F("versions", r.Versions),
		output.F("tombstones", r.Tombstones), output.F("reserved", r.Reserved), output.F("bucket_settings", r.Buckets),
		output.F("bytes", r.Bytes), output.F("found", t.found), output.F("findings", found),
	})
	if err != nil || t.found == 0 {
		return err
	}
	return exit.New(exit.CheckFailed, "keep a copy of the directory; restore a dump or a backup into a new one",
		"%w: %d findings", base.ErrCorruption, t.found)
}
