package vacuum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Compact says when Run compacts the range that it changed, which is what gives space back.
type Compact uint8

// When Run compacts.
const (
	// CompactAuto compacts when a tenth of the range's estimated bytes were removed: rewriting the
	// range then costs at most ten times what it frees.
	CompactAuto Compact = 0
	// CompactAlways compacts when anything was removed.
	CompactAlways Compact = 1
	// CompactNever leaves the space to RocksDB's own compactions.
	CompactNever Compact = 2
)

const (
	// chunkKeys is how many keys are judged under one engine snapshot.
	chunkKeys = 2048
	// defaultBatchKeys and batchRecords bound a batch: its keys are locked while it is written.
	defaultBatchKeys = 256
	maxBatchKeys     = 4096
	batchRecords     = 4096
)

// Options configures Plan and Run. The zero value, and nil, is everything in the bucket, as fast as it
// goes, and CompactAuto.
type Options struct {
	// Start and End bound the keys to [Start, End). An empty Start is the beginning of the bucket, a
	// nil End its end. Prefix bounds them further. To go on where a run ended, pass its Report.Next
	// as Start.
	Start, End, Prefix []byte
	// Now is the time by which age and expiry are judged. Zero means that of the store's clock when
	// the call begins. A replicated store passes the time up to which it has applied.
	Now hlc.Timestamp
	// DryRun reports what would be done and changes nothing. Rate, pressure and progress apply.
	DryRun bool
	// BatchKeys is how many keys one batch changes at most. 0 means 256; at most 4,096. A batch has
	// 4,096 record removals at most too.
	BatchKeys int
	// KeysPerSecond bounds how many keys are looked at, BytesPerSecond how many bytes are removed, as
	// Report.Bytes counts them, each averaged over about a quarter of a second. 0 means no bound.
	KeysPerSecond, BytesPerSecond int64
	// Pressure, when not nil, is asked before each chunk of reading and each batch of writing; while
	// it returns true vacuum pauses, for 50 ms at first and up to 2 s at a time. EnginePressure is
	// one for an engine.
	Pressure func() bool
	// Progress, when not nil, is told the report so far after each batch and at each change of
	// phase. It runs on the caller's goroutine.
	Progress func(Report)
	// Compact says whether to compact at the end. The zero value is CompactAuto.
	Compact Compact
	// Executor applies the steps. nil means one that commits them to the bucket's store.
	Executor Executor
	// Wall tells the time for rates and Wait blocks for d or until ctx ends and then returns
	// ctx.Err(). nil means time.Now and a timer; tests pass both of an hlc.Manual.
	Wall hlc.WallClock
	Wait func(ctx context.Context, d time.Duration) error
}

// withDefaults returns a checked copy of o, which may be nil, with the defaults filled in and Prefix
// turned into Start and End.
func (o *Options) withDefaults(bucket *versioning.Bucket, policy Policy) (*Options, error) {
	if bucket == nil {
		return nil, fmt.Errorf("%w: no bucket", ErrInvalidOptions)
	}
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	var c Options
	if o != nil {
		c = *o
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.BatchKeys < 0 || c.BatchKeys > maxBatchKeys {
		fault("BatchKeys %d is not in 0..%d", c.BatchKeys, maxBatchKeys)
	}
	if c.KeysPerSecond < 0 {
		fault("KeysPerSecond %d is negative", c.KeysPerSecond)
	}
	if c.BytesPerSecond < 0 {
		fault("BytesPerSecond %d is negative", c.BytesPerSecond)
	}
	if c.Compact > CompactNever {
		fault("unknown Compact %d", c.Compact)
	}
	if c.Now.WallNanos < 0 {
		fault("Now %v is before 1970", c.Now)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOptions, errors.Join(faults...))
	}
	c.applyPrefix()
	if c.Now.IsZero() {
		now, err := bucket.Store().Clock().Now()
		if err != nil {
			return nil, err
		}
		c.Now = now
	}
	if c.BatchKeys == 0 {
		c.BatchKeys = defaultBatchKeys
	}
	if c.Executor == nil {
		c.Executor = NewStoreExecutor(bucket.Store())
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Wait == nil {
		c.Wait = waitTimer
	}
	return &c, nil
}

// applyPrefix folds Prefix into Start and End.
func (o *Options) applyPrefix() {
	if len(o.Prefix) == 0 {
		return
	}
	if bytes.Compare(o.Start, o.Prefix) < 0 {
		o.Start = o.Prefix
	}
	end, bounded := keys.PrefixEnd(nil, o.Prefix)
	if bounded && (o.End == nil || bytes.Compare(end, o.End) < 0) {
		o.End = end
	}
	o.Prefix = nil
}

func waitTimer(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
