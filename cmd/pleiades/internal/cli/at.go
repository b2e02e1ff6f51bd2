package cli

import (
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/hlc"
)

// parseAt reads a point in time: a timestamp as every command prints it, with or without the @; an
// RFC 3339 time, which means its very end as far as logical counters go; or -DURATION before now.
func parseAt(s string, now time.Time) (hlc.Timestamp, error) {
	text := strings.TrimPrefix(s, "@")
	if ts, err := hlc.ParseTimestamp(text); err == nil {
		return ts, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return endOf(t), nil
	}
	if strings.HasPrefix(text, "-") {
		if d, err := parseAge(text); err == nil {
			return endOf(now.Add(d)), nil
		}
	}
	return hlc.Timestamp{}, exit.New(exit.Usage, "write @1763812345.123456789,7 as kv history shows it, 2026-11-22T12:00:00Z, or -10m",
		"%w: %q is no point in time", base.ErrInvalid, s)
}

// endOf is the last timestamp of a wall time, so that reading at a time sees what was written at it.
func endOf(t time.Time) hlc.Timestamp { return hlc.FromTime(t.Add(1)).Prev() }

// parseRevision reads a revision, which only a printed timestamp can be.
func parseRevision(s string) (hlc.Timestamp, error) {
	ts, err := hlc.ParseTimestamp(strings.TrimPrefix(s, "@"))
	if err != nil {
		return ts, exit.New(exit.Usage, "take it from: pleiades kv get KEY --meta", "%w: %q is no revision", base.ErrInvalid, s)
	}
	return ts, nil
}

// at prints a timestamp as parseAt reads it.
func at(ts hlc.Timestamp) string { return "@" + ts.String() }

// clockTime prints a wall time for people; nil for the zero time.
func clockTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
