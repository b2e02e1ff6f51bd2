package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/progress"
	"github.com/shieldmaidens/pleiades/vacuum"
)

// runVacuumAtNode is vacuum run at a node, which keeps its own pace and compacts when it pays.
func (a *App) runVacuumAtNode(ctx context.Context, s *session, f *vacuumFlags, opt *vacuum.Options) error {
	if f.keysPerSecond != 0 || f.bytesPerSecond != 0 || opt.Compact != vacuum.CompactAuto {
		return exit.New(exit.Usage, "leave them out: a node yields to its other work by itself",
			"%w: --keys-per-second, --bytes-per-second and --compact are for a directory", base.ErrInvalid)
	}
	bar := a.bar("vacuum", 0, "keys")
	defer bar.Clear()
	r, err := s.remote.b.Vacuum(ctx, client.VacuumOptions{
		AllKeys: f.allKeys, KeepNewest: f.keepNewest, KeepNewerThan: time.Duration(f.olderThan), Deleted: f.deleted, Expired: f.expired,
		Start: opt.Start, Prefix: opt.Prefix, DryRun: f.dryRun,
		Progress: func(r client.VacuumReport) {
			bar.Set(r.Keys, fmt.Sprintf("%d versions, %s", r.Versions, progress.Amount(r.Bytes, "B")))
		},
	})
	bar.Clear()
	if err != nil && r.Keys == 0 && len(r.Next) == 0 {
		return err
	}
	if err != nil && len(r.Next) > 0 {
		a.note("to go on there: --start %s", bytearg.Format(r.Next))
	}
	report := vacuum.Report{
		DryRun: f.dryRun, Keys: r.Keys, Trimmed: r.Trimmed, Purged: r.Purged, Versions: r.Versions, Bytes: r.Bytes, Skipped: r.Skipped,
		Next: r.Next, Compacted: r.Compacted, DiskBefore: r.DiskBefore, DiskAfter: r.DiskAfter,
	}
	if r.Done {
		report.Phase = vacuum.PhaseDone
	}
	return errors.Join(err, a.vacuumed(s.bucket.ID(), report))
}
