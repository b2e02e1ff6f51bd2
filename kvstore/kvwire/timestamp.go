package kvwire

import (
	"math"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
)

// Timestamp returns ts as it travels; nil for the zero timestamp, which stands for none.
func Timestamp(ts hlc.Timestamp) *kvstorev1.Timestamp {
	if ts.IsZero() {
		return nil
	}
	return &kvstorev1.Timestamp{WallNanos: ts.WallNanos, Logical: ts.Logical}
}

// TimestampOf returns what came; the zero timestamp for nil.
func TimestampOf(t *kvstorev1.Timestamp) hlc.Timestamp {
	return hlc.Timestamp{WallNanos: t.GetWallNanos(), Logical: t.GetLogical()}
}

// Nanos returns a time of expiry as it travels: nanoseconds since 1970, 0 for the zero time. ok is false for times that
// 63 bits of nanoseconds cannot hold, and for 1970 and before.
func Nanos(t time.Time) (nanos uint64, ok bool) {
	if t.IsZero() {
		return 0, true
	}
	if sec := t.Unix(); sec < 0 || sec >= math.MaxInt64/int64(time.Second) {
		return 0, false
	}
	n := t.UnixNano()
	return uint64(n), n > 0
}

// TimeOf returns what came as a time of expiry; the zero time for 0.
func TimeOf(nanos uint64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(min(nanos, math.MaxInt64))).UTC()
}
