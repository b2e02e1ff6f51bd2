package kvstore

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Options configures a store. The zero value of each field means its default; a nil *Options is all defaults. Open copies
// the options.
type Options struct {
	// Logger gets warnings and the progress of long work. nil: nothing is logged.
	Logger *slog.Logger
	// QueueCommands and QueueBytes bound the writes that wait; more get ErrOverloaded. Defaults 8,192 and 256 MiB.
	QueueCommands int
	QueueBytes    int64
	// MaxBatchOperations and MaxBatchBytes bound one batch of a client: operations, and bytes of keys and values.
	// Defaults 10,000 and 32 MiB, at most 100,000 and 48 MiB.
	MaxBatchOperations int
	MaxBatchBytes      int
	// MaxSessions bounds the sessions of a shard, of which one caller has at most a quarter; MaxSessionRows the writes of one session whose answers are kept. Defaults
	// 16,384 and 1,024.
	MaxSessions    int
	MaxSessionRows int
	// SessionIdle is how long a session lives without a write. All replicas must have the same. Default 10 minutes, 1
	// second to 7 days.
	SessionIdle time.Duration
	// MaxAccounts and MaxBuckets bound the catalog, which is kept in memory. Defaults 10,000 and 100,000.
	MaxAccounts int
	MaxBuckets  int
	// RemoveRecords is how many records one step of a removal deletes. Default 4,096, at most 65,536.
	RemoveRecords int
}

func (o *Options) withDefaults() (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	var faults []error
	bound := func(name string, p *int, def, most int) {
		if *p == 0 {
			*p = def
		}
		if *p < 1 || *p > most {
			faults = append(faults, fmt.Errorf("%s is %d, must be 1 to %d", name, *p, most))
		}
	}
	bound("QueueCommands", &v.QueueCommands, 8192, 1<<20)
	bound("MaxBatchOperations", &v.MaxBatchOperations, 10_000, 100_000)
	bound("MaxBatchBytes", &v.MaxBatchBytes, 32<<20, 48<<20)
	bound("MaxSessions", &v.MaxSessions, 16_384, 1<<20)
	bound("MaxSessionRows", &v.MaxSessionRows, 1024, 65_536)
	bound("MaxAccounts", &v.MaxAccounts, 10_000, 1<<20)
	bound("MaxBuckets", &v.MaxBuckets, 100_000, 1<<20)
	bound("RemoveRecords", &v.RemoveRecords, 4096, 65_536)
	if v.QueueBytes == 0 {
		v.QueueBytes = 256 << 20
	}
	if v.QueueBytes < 1 || v.QueueBytes > 1<<40 {
		faults = append(faults, fmt.Errorf("QueueBytes is %d, must be 1 to 1 TiB", v.QueueBytes))
	}
	if v.SessionIdle == 0 {
		v.SessionIdle = 10 * time.Minute
	}
	if v.SessionIdle < time.Second || v.SessionIdle > 7*24*time.Hour {
		faults = append(faults, fmt.Errorf("SessionIdle is %v, must be 1s to 168h", v.SessionIdle))
	}
	if len(faults) > 0 {
		return Options{}, fmt.Errorf("%w: %w", ErrInvalidOptions, errors.Join(faults...))
	}
	return v, nil
}
