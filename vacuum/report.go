package vacuum

import (
	"fmt"
	"time"
)

// Phase says what a run is doing.
type Phase uint8

// The phases, in their order.
const (
	// PhaseVacuum: walking over the keys and removing.
	PhaseVacuum Phase = 1
	// PhaseCompact: giving the space back.
	PhaseCompact Phase = 2
	// PhaseDone: at the end.
	PhaseDone Phase = 3
)

func (p Phase) String() string {
	switch p {
	case PhaseVacuum:
		return "vacuum"
	case PhaseCompact:
		return "compact"
	case PhaseDone:
		return "done"
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// Report says what a run did so far or, in a dry run, what it would have done.
type Report struct {
	DryRun bool
	Phase  Phase
	// Keys is how many keys were looked at; Trimmed of how many old versions were removed, and
	// Purged how many were removed as a whole.
	Keys, Trimmed, Purged int64
	// Versions is how many versions were removed, those of purged keys included. Bytes is what their
	// records held: stored keys, values and trailers, before compression.
	Versions, Bytes int64
	// Skipped is how many keys were left alone because they were written since they were judged. The
	// next run judges them anew.
	Skipped int64
	// Next is where a run that ended early should go on: pass it as Options.Start. Empty, and not
	// nil, is the beginning of the bucket; nil says that all keys were handled.
	Next []byte
	// Yields counts the pauses for pressure; Waited is how long the run paused, for rates too.
	Yields int64
	Waited time.Duration
	// Compacted says that the changed range was compacted. DiskBefore and DiskAfter are the engine's
	// estimates of the bytes that the whole range takes, at the beginning and the end: see
	// engine.Shard.ApproximateSize. DiskAfter is 0 in a dry run and until the end.
	Compacted             bool
	DiskBefore, DiskAfter uint64
}

// String returns one line for people.
func (r Report) String() string {
	verb := "freed"
	if r.DryRun {
		verb = "would free"
	}
	s := fmt.Sprintf("looked at %d keys: %s %d versions, %d bytes: %d keys trimmed, %d removed",
		r.Keys, verb, r.Versions, r.Bytes, r.Trimmed, r.Purged)
	if r.Skipped > 0 {
		s += fmt.Sprintf(", %d changed meanwhile", r.Skipped)
	}
	if r.Phase == PhaseDone && !r.DryRun {
		s += fmt.Sprintf("; on disk %d bytes, were %d", r.DiskAfter, r.DiskBefore)
	}
	return s
}
