package versioning

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shieldmaidens/pleiades/hlc"
)

func TestSlotsAndVersionsAreInverse(t *testing.T) {
	for base := range slotCount {
		var seen [256]bool
		for v := 1; v <= slotCount; v++ {
			slot := slotOf(v, base)
			if slot < 1 || slot > 254 || seen[slot] {
				t.Fatalf("version %d, base %d: slot %d out of range or taken", v, base, slot)
			}
			seen[slot] = true
			if got := versionOf(slot, base); got != v {
				t.Fatalf("slot %d, base %d: version %d, want %d", slot, base, got, v)
			}
			if base == 0 && int(slot) != v {
				t.Fatalf("version %d lies in slot %d although base is 0", v, slot)
			}
			if v > 1 && slotOf(v-1, (base+1)%slotCount) != slot {
				t.Fatalf("a rollover moves version %d out of slot %d", v, slot)
			}
		}
	}
}

// versionOf is the inverse of slotOf.
func versionOf(slot uint8, base int) int {
	return (int(slot)-1-base+slotCount)%slotCount + 1
}

// planRecords executes plans on a plain map of slots, in which each version is its write's number.
type planRecords struct {
	t      *testing.T
	desc   descriptor
	slots  map[uint8]int
	latest int
	// versions is the model: what is there, oldest first, under the numbers from oldest.
	versions []int
	oldest   int
}

func (r *planRecords) execute(p *plan) {
	r.t.Helper()
	if p.nothing {
		return
	}
	before := make(map[uint8]int, len(r.slots))
	for slot, v := range r.slots {
		before[slot] = v
	}
	written := map[uint8]bool{}
	write := func(slot uint8) {
		if written[slot] {
			r.t.Fatalf("slot %d is written twice by %+v", slot, p)
		}
		written[slot] = true
	}
	for _, m := range p.moves {
		v, ok := before[m.from]
		if !ok {
			r.t.Fatalf("slot %d is moved and does not exist: %+v", m.from, p)
		}
		write(m.to)
		r.slots[m.to] = v
	}
	if p.archive != 0 {
		write(p.archive)
		r.slots[p.archive] = r.latest
	}
	for _, slot := range p.deletes {
		write(slot)
		if _, ok := before[slot]; !ok {
			r.t.Fatalf("slot %d is removed and does not exist: %+v", slot, p)
		}
		delete(r.slots, slot)
	}
	r.desc = p.after
}

// compare holds the records against the model.
func (r *planRecords) compare() {
	r.t.Helper()
	if !r.desc.exists() {
		if len(r.versions) != 0 || len(r.slots) != 0 {
			r.t.Fatalf("no descriptor, %d versions, slots %v", len(r.versions), r.slots)
		}
		return
	}
	if fault := r.desc.check(); fault != "" {
		r.t.Fatalf("descriptor: %s", fault)
	}
	if r.desc.oldest != r.oldest || r.desc.count != r.oldest+len(r.versions)-1 || len(r.slots) != len(r.versions)-1 {
		r.t.Fatalf("descriptor %+v with %d slots, want %d versions from %d", r.desc, len(r.slots), len(r.versions), r.oldest)
	}
	for i, want := range r.versions[:len(r.versions)-1] {
		if got := r.slots[slotOf(r.oldest+i, r.desc.base)]; got != want {
			r.t.Fatalf("version %d is write %d, want %d; %+v", r.oldest+i, got, want, r.desc)
		}
	}
	if r.latest != r.versions[len(r.versions)-1] {
		r.t.Fatalf("the latest is write %d, want %d", r.latest, r.versions[len(r.versions)-1])
	}
}

// TestPlansAgreeWithASlice runs random plans, settings and drops, without I/O.
func TestPlansAgreeWithASlice(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		r := &planRecords{t: t, slots: map[uint8]int{}, oldest: 1}
		limits := []int{1, 2, 3, 20, 100, 253, 254, 255}
		s := Settings{MaxVersions: limits[rng.IntN(len(limits))], Rollover: Relabel}
		var p plan
		for i := 1; i <= 700; i++ {
			switch rng.IntN(40) {
			case 0:
				s.MaxVersions = limits[rng.IntN(len(limits))]
			case 1:
				s.Rollover = []Rollover{Relabel, Cascade, Refuse}[rng.IntN(3)]
			case 2:
				r.drop(&p, 1+rng.IntN(255))
			case 3:
				r.drop(&p, r.desc.oldest+rng.IntN(3))
			default:
				r.put(&p, s, i, rng.IntN(10) == 0)
			}
			r.compare()
		}
		if rng.IntN(2) == 0 && r.desc.exists() {
			planPurge(&p, &r.desc)
			r.execute(&p)
			r.versions = nil
			r.compare()
		}
	}
}

func (r *planRecords) drop(p *plan, oldest int) {
	if !r.desc.exists() || oldest < 1 {
		return
	}
	planDrop(p, &r.desc, oldest)
	r.execute(p)
	for r.oldest < oldest && len(r.versions) > 1 {
		r.versions, r.oldest = r.versions[1:], r.oldest+1
	}
}

func (r *planRecords) put(p *plan, s Settings, id int, tombstone bool) {
	r.t.Helper()
	ts := hlc.Timestamp{WallNanos: int64(id)}
	err := planVersion(p, &r.desc, s, version{ts: ts, tombstone: tombstone})
	full := r.desc.count+1-s.MaxVersions >= r.oldest && len(r.versions) > 0
	if refused := s.Rollover == Refuse && !tombstone && full; refused != errors.Is(err, ErrVersionsExhausted) {
		r.t.Fatalf("put on %+v under %+v: %v, refused should be %t", r.desc, s, err, refused)
	} else if refused {
		return
	}
	before := r.desc
	dropped := 0
	r.execute(p)
	r.latest = id
	for r.versions = append(r.versions, id); r.oldest+len(r.versions)-1 > s.MaxVersions; {
		if r.oldest > 1 {
			r.oldest--
		} else if dropped++; dropped <= maxTrim {
			r.versions = r.versions[1:]
		} else {
			dropped--
			break
		}
	}
	if p.dropped != dropped {
		r.t.Fatalf("put on %+v dropped %d, want %d", before, p.dropped, dropped)
	}
	if s.Rollover != Cascade && p.writes() > 3+dropped {
		r.t.Fatalf("put on %+v writes %d records", before, p.writes())
	}
}

// TestPlannedWrites pins how many records a put reads and writes.
func TestPlannedWrites(t *testing.T) {
	for _, c := range []struct {
		name          string
		count, max    int
		rollover      Rollover
		writes, moves int
	}{
		{"first", 0, 255, Relabel, 2, 0},
		{"second", 1, 255, Relabel, 3, 0},
		{"last free", 254, 255, Relabel, 3, 0},
		{"relabel at 255", 255, 255, Relabel, 3, 0},
		{"relabel below 255", 10, 10, Relabel, 4, 0},
		{"no history", 1, 1, Relabel, 2, 0},
		{"cascade at 255", 255, 255, Cascade, 256, 253},
		{"cascade at 10", 10, 10, Cascade, 11, 8},
		{"trim", 255, 10, Relabel, 3 + 16 - 1, 0},
	} {
		d := descriptor{}
		if c.count > 0 {
			d = descriptor{count: c.count, oldest: 1, created: hlc.Timestamp{WallNanos: 1}, revision: hlc.Timestamp{WallNanos: 1}}
		}
		var p plan
		if err := planVersion(&p, &d, Settings{MaxVersions: c.max, Rollover: c.rollover}, version{ts: hlc.Timestamp{WallNanos: 2}}); err != nil {
			t.Fatal(err)
		}
		if p.writes() != c.writes || len(p.moves) != c.moves {
			t.Errorf("%s: %d writes, %d moves; want %d, %d", c.name, p.writes(), len(p.moves), c.writes, c.moves)
		}
	}
}

func TestLastOldVersionResetsTheBase(t *testing.T) {
	d := descriptor{count: 255, oldest: 1, base: 77, created: hlc.Timestamp{WallNanos: 1}, revision: hlc.Timestamp{WallNanos: 1}}
	var p plan
	planDrop(&p, &d, 255)
	if p.after.base != 0 || len(p.deletes) != 254 || !slices.Contains(p.deletes, 254) {
		t.Fatalf("base %d, %d deletes", p.after.base, len(p.deletes))
	}
}
