package engine

// BatchMark is a place in a batch to which Rollback can return.
type BatchMark struct {
	bytes int
	count uint32
	flips int
}

// Mark returns the present end of the batch.
func (b *Batch) Mark() BatchMark {
	return BatchMark{bytes: len(b.rep), count: b.count, flips: len(b.flips)}
}

// Rollback removes what was added to the batch since m was taken from it. Shards that were named since then stay held
// until Reset or Close. A mark is good until the batch is reset, or rolled back to an earlier mark.
func (b *Batch) Rollback(m BatchMark) {
	if m.bytes > len(b.rep) || m.bytes < batchHeaderBytes {
		return // of another batch, or of before a Reset: there is nothing to return to
	}
	b.rep, b.count, b.flips = b.rep[:m.bytes], m.count, b.flips[:m.flips]
}
