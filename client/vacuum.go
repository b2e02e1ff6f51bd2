package client

import (
	"context"
	"fmt"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
)

// VacuumOptions say what vacuum gives up. The zero value: old versions of keys that are marked vacuumable, and of any key
// those beyond the bucket's MaxVersions. The latest version of a key never goes by itself.
type VacuumOptions struct {
	// AllKeys takes keys that are not marked too; it needs KeepNewest or KeepNewerThan.
	AllKeys bool
	// KeepNewest versions of a key stay, the latest included; 0 is 1.
	KeepNewest int
	// KeepNewerThan keeps what was current at any time since then.
	KeepNewerThan time.Duration
	// Deleted and Expired remove such keys with their history, marked or not.
	Deleted, Expired bool
	// Start and End bound the keys to [Start, End); Prefix bounds them further.
	Start, End, Prefix []byte
	// DryRun only says what would be removed.
	DryRun bool
	// Progress is called now and then, by the goroutine of the call.
	Progress func(VacuumReport)
}

// VacuumReport is what a run has done.
type VacuumReport struct {
	// Keys looked at, Trimmed and Purged of them, Versions and Bytes removed, Skipped because somebody wrote meanwhile.
	Keys, Trimmed, Purged, Versions, Bytes, Skipped int64
	// Next is where to go on, as Start, when the run ended early. nil: it came to the end.
	Next []byte
	// Compacted says that the space was given back; DiskBefore and DiskAfter are bytes on disk.
	Compacted             bool
	DiskBefore, DiskAfter uint64
	Done                  bool
}

// Vacuum removes old versions that nobody wants. The end of ctx ends it at once; what was removed stays removed. It is not
// sent again by itself when the connection breaks: the report says how far it came, and running it again does no harm.
// Errors: base.ErrInvalid for a policy that would keep nothing.
func (b *Bucket) Vacuum(ctx context.Context, o VacuumOptions) (report VacuumReport, err error) {
	if o.KeepNewest < 0 || o.KeepNewerThan < 0 {
		return report, named("vacuum", fmt.Errorf("%w: to keep %d versions, and those of %v", ErrBadRequest, o.KeepNewest, o.KeepNewerThan))
	}
	start := time.Now()
	err = b.with(ctx, func(id uint64) error {
		req := &kvstorev1.VacuumRequest{
			BucketId: id, AllKeys: o.AllKeys, KeepNewest: uint32(o.KeepNewest), KeepNewerThanMillis: uint64((o.KeepNewerThan + time.Millisecond - 1) / time.Millisecond),
			Deleted: o.Deleted, Expired: o.Expired, Start: o.Start, End: o.End, Prefix: o.Prefix, DryRun: o.DryRun,
		}
		_, err := b.c.stream(ctx, kvwire.Vacuum, req, func(msg []byte) error {
			var m kvstorev1.VacuumResponse
			if err := m.UnmarshalVT(msg); err != nil {
				return fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			report = VacuumReport{
				Keys: int64(m.Keys), Trimmed: int64(m.Trimmed), Purged: int64(m.Purged), Versions: int64(m.Versions), Bytes: int64(m.Bytes),
				Skipped: int64(m.Skipped), Next: m.Next, Compacted: m.Compacted, DiskBefore: m.DiskBefore, DiskAfter: m.DiskAfter, Done: m.Done,
			}
			if o.Progress != nil {
				o.Progress(report)
			}
			return nil
		})
		return err
	})
	err = named("vacuum", err)
	b.c.done("vacuum", start, 1, err)
	return report, err
}
