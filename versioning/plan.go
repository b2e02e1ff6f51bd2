package versioning

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/hlc"
)

// plan is what one operation does to the records of one key. It is computed from the descriptor
// alone, without I/O, and executed by the applier. All its reads are of the state before it.
type plan struct {
	// after is the key's new descriptor; it does not exist after a purge.
	after descriptor
	// latest: the operation writes a new `@l`.
	latest bool
	// archive is the slot that takes over the bytes of the old `@l`; 0: none.
	archive uint8
	// moves are slots whose bytes go to another slot; only Cascade has them.
	moves []move
	// deletes are slots that are removed.
	deletes []uint8
	// purge: `.d` and `@l` are removed as well.
	purge bool
	// nothing: the operation changes nothing, not even the descriptor.
	nothing bool
	// rolled: the versions' numbers moved. dropped is how many versions ceased to exist.
	rolled  bool
	dropped int
}

// move says that slot to takes the bytes that slot from has before the operation.
type move struct{ from, to uint8 }

// version is a new version to be written: a value or a tombstone.
type version struct {
	ts         hlc.Timestamp // above the descriptor's revision
	bytes      int64
	expires    int64
	tombstone  bool
	vacuumable *bool // nil: as it is
	number     int   // of a key's first version; 0: 1
}

// planVersion appends a version to a key. p is overwritten; its slices' memory is reused. Error:
// ErrVersionsExhausted.
func planVersion(p *plan, d *descriptor, s Settings, v version) error {
	p.reset()
	after := *d
	if !d.exists() {
		after = descriptor{oldest: max(1, v.number), created: v.ts}
		after.count = after.oldest - 1
	}
	shift, err := shiftFor(d, s, v.tombstone)
	if err != nil {
		return err
	}
	after.count += 1 - shift
	after.oldest = max(1, after.oldest-shift)
	after.base = (d.base + shift) % slotCount
	after.revision = v.ts
	after.deleted = v.tombstone
	after.expires = v.expires
	after.latestBytes = v.bytes
	after.writtenBytes = d.writtenBytes + v.bytes
	if v.vacuumable != nil {
		after.vacuumable = *v.vacuumable
	}
	if s.Rollover == Cascade && shift > 0 || after.count == after.oldest {
		after.base = 0 // without old versions there is nothing to rotate
	}
	p.after, p.latest, p.rolled = after, true, shift > 0
	if d.exists() {
		p.dropped = max(0, shift-d.oldest+1)
	}
	if shift < d.count {
		p.archive = slotOf(d.count-shift, after.base)
	}
	p.rearrange(d, shift)
	return nil
}

// shiftFor returns by how much the numbers of a key's versions go down when one is appended: enough
// to end at max_versions, but dropping at most maxTrim versions that exist.
func shiftFor(d *descriptor, s Settings, tombstone bool) (int, error) {
	excess := d.count + 1 - s.MaxVersions
	if !d.exists() || excess <= 0 {
		return 0, nil
	}
	if s.Rollover == Refuse && !tombstone && excess >= d.oldest {
		return 0, fmt.Errorf("%w: %d of %d", ErrVersionsExhausted, d.count, s.MaxVersions)
	}
	return min(excess, d.oldest-1+maxTrim), nil
}

// rearrange plans what happens to the slots of d, whose versions' numbers go down by shift: which
// records move and which go. p.after and p.archive are set.
func (p *plan) rearrange(d *descriptor, shift int) {
	if shift == 0 || !d.exists() {
		return
	}
	var kept [slotCount + 1]bool // by slot, after the operation
	kept[p.archive] = true
	for v := max(d.oldest, shift+1); v < d.count; v++ {
		from, to := slotOf(v, d.base), slotOf(v-shift, p.after.base)
		kept[to] = true
		if from != to {
			p.moves = append(p.moves, move{from, to})
		}
	}
	for v := d.oldest; v < d.count; v++ {
		if slot := slotOf(v, d.base); !kept[slot] {
			p.deletes = append(p.deletes, slot)
		}
	}
}

// planVacuumable sets the flag that permits vacuum. It is a write of the client's: the revision moves.
func planVacuumable(p *plan, d *descriptor, ts hlc.Timestamp, vacuumable bool) {
	p.reset()
	p.after = *d
	if p.nothing = d.vacuumable == vacuumable; p.nothing {
		return
	}
	p.after.vacuumable = vacuumable
	p.after.revision = ts
}

// planPurge removes all records of a key.
func planPurge(p *plan, d *descriptor) {
	p.reset()
	p.purge = true
	p.dropped = d.count - d.oldest + 1
	for v := d.oldest; v < d.count; v++ {
		p.deletes = append(p.deletes, slotOf(v, d.base))
	}
}

// planDrop removes the versions below oldest, which is at most the latest. Numbers, and the
// revision, stay as they are.
func planDrop(p *plan, d *descriptor, oldest int) {
	p.reset()
	oldest = min(oldest, d.count)
	if oldest <= d.oldest {
		p.nothing, p.after = true, *d
		return
	}
	p.after = *d
	p.after.oldest = oldest
	if oldest == d.count {
		p.after.base = 0
	}
	p.dropped = oldest - d.oldest
	for v := d.oldest; v < oldest; v++ {
		p.deletes = append(p.deletes, slotOf(v, d.base))
	}
}

func (p *plan) reset() { *p = plan{moves: p.moves[:0], deletes: p.deletes[:0]} }

// writes returns how many records the plan writes or removes.
func (p *plan) writes() int {
	if p.nothing {
		return 0
	}
	n := 1 + len(p.moves) + len(p.deletes) // 1: the descriptor
	if p.latest || p.purge {
		n++
	}
	if p.archive != 0 {
		n++
	}
	return n
}

// needsLatest reports whether the plan needs the bytes of the old `@l`.
func (p *plan) needsLatest() bool { return p.archive != 0 }

// slotReads returns how many old versions have to be read to be moved.
func (p *plan) slotReads() int { return len(p.moves) }
