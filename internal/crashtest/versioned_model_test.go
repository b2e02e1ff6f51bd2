package crashtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// The versioned workload: some writers, each with buckets of its own in the stores of two shards, with
// histories that roll over, are trimmed, purged and vacuumed.
const (
	versionedWriters = 4
	versionedStores  = 2
	bucketsPerWriter = 3
	keysPerBucket    = 5
)

// place is where a key is.
type place struct {
	store  int
	bucket keys.BucketID
	key    string
}

func (p place) String() string {
	return fmt.Sprintf("store %d, bucket %d, key %q", p.store, p.bucket, p.key)
}

// version is one version of a key; number 0 is a tombstone.
type version struct{ value valueID }

// history is what is known of a key: its versions, the first of which has the number oldest.
type history struct {
	versions   []version
	oldest     int
	vacuumable bool
}

func (h history) count() int { return h.oldest + len(h.versions) - 1 }
func (h history) dead() bool { return h.versions[len(h.versions)-1].value == 0 }

// step is one change of one key, or of a bucket's settings.
type step struct {
	kind       versioning.OpKind
	at         place
	value      valueID
	oldest     int
	vacuumable bool
	settings   versioning.Settings
	cas        bool // with the revision that the key has
}

// versionedOp is what a writer does at once: one step, several in a batch, or a vacuum of a bucket.
type versionedOp struct {
	steps  []step
	sync   bool
	vacuum *place
}

func (o versionedOp) String() string {
	if o.vacuum != nil {
		return fmt.Sprintf("vacuum of %v", *o.vacuum)
	}
	text := fmt.Sprintf("sync %t:", o.sync)
	for _, s := range o.steps {
		text += fmt.Sprintf(" %v of %v;", s.kind, s.at)
	}
	return text
}

// vacuumKeep is the policy of every vacuum: that many newest versions, and no deleted keys.
const vacuumKeep = 2

// versionedModel is what one writer's part of the stores holds after its first n operations.
type versionedModel struct {
	seed     uint64
	writer   int
	n        int
	keys     map[place]history
	settings map[place]versioning.Settings // key is empty
}

func newVersionedModel(seed uint64, writer int) *versionedModel {
	return &versionedModel{seed: seed, writer: writer, keys: map[place]history{}, settings: map[place]versioning.Settings{}}
}

func versionedModelAt(seed uint64, writer, n int) *versionedModel {
	m := newVersionedModel(seed, writer)
	for m.n < n {
		m.apply(m.next())
	}
	return m
}

// places are all that a writer may write to.
func (m *versionedModel) places() []place {
	var all []place
	for store := range versionedStores {
		for bucket := range bucketsPerWriter {
			for key := range keysPerBucket {
				all = append(all, place{store, m.bucket(bucket), fmt.Sprintf("key-%d", key)})
			}
		}
	}
	return all
}

func (m *versionedModel) bucket(i int) keys.BucketID { return keys.BucketID(10*(m.writer+1) + i) }

func (m *versionedModel) next() versionedOp {
	rng := rand.New(rand.NewPCG(m.seed, 1<<60|uint64(m.writer)<<32|uint64(m.n)))
	all := m.places()
	if m.n < versionedStores*bucketsPerWriter {
		// The first operations give each bucket its settings.
		at := all[m.n*keysPerBucket]
		return versionedOp{sync: true, steps: []step{m.settingsStep(rng, at)}}
	}
	at := all[rng.IntN(len(all))]
	o := versionedOp{sync: rng.IntN(4) > 0}
	switch p := rng.IntN(100); {
	case p < 3:
		return versionedOp{vacuum: &place{store: at.store, bucket: at.bucket}}
	case p < 5:
		o.sync, o.steps = true, []step{m.settingsStep(rng, at)}
	case p < 20:
		// Keys differ within a batch, so that each step can be made on the state before it.
		for _, i := range rng.Perm(len(all))[:2+rng.IntN(5)] {
			o.steps = append(o.steps, m.step(rng, all[i]))
		}
	default:
		o.steps = []step{m.step(rng, at)}
		o.steps[0].cas = rng.IntN(10) == 0
	}
	return o
}

func (m *versionedModel) settingsStep(rng *rand.Rand, at place) step {
	s := versioning.Settings{MaxVersions: []int{3, 5, 8, 255}[rng.IntN(4)], Rollover: versioning.Relabel}
	if rng.IntN(2) == 0 {
		s.Rollover = versioning.Cascade
	}
	return step{kind: versioning.OpSetSettings, at: place{store: at.store, bucket: at.bucket}, settings: s}
}

// step makes a change that the store will accept.
func (m *versionedModel) step(rng *rand.Rand, at place) step {
	h, exists := m.keys[at]
	s := step{kind: versioning.OpPut, at: at, value: valueID(rng.Uint64() | 1)}
	switch p := rng.IntN(100); {
	case p < 70 || !exists:
	case p < 82:
		if !h.dead() {
			s.kind, s.value = versioning.OpDelete, 0
		}
	case p < 87:
		s.kind, s.value = versioning.OpPurge, 0
	case p < 94:
		s.kind, s.value, s.oldest = versioning.OpDropVersions, 0, h.oldest+rng.IntN(len(h.versions)+1)
		s.oldest = min(s.oldest, versioning.MaxVersions)
	default:
		s.kind, s.value, s.vacuumable = versioning.OpSetVacuumable, 0, rng.IntN(2) == 0
	}
	return s
}

func (m *versionedModel) apply(o versionedOp) {
	m.n++
	if o.vacuum != nil {
		for at, h := range m.keys {
			if at.store != o.vacuum.store || at.bucket != o.vacuum.bucket {
				continue
			}
			if h.dead() {
				delete(m.keys, at)
			} else if drop := len(h.versions) - vacuumKeep; drop > 0 {
				h.versions, h.oldest = slices.Clone(h.versions[drop:]), h.oldest+drop
				m.keys[at] = h
			}
		}
	}
	for _, s := range o.steps {
		m.change(s)
	}
}

func (m *versionedModel) change(s step) {
	h, exists := m.keys[s.at]
	h.versions = slices.Clone(h.versions)
	switch s.kind {
	case versioning.OpSetSettings:
		m.settings[s.at] = s.settings
		return
	case versioning.OpPurge:
		delete(m.keys, s.at)
		return
	case versioning.OpSetVacuumable:
		h.vacuumable = s.vacuumable
	case versioning.OpDropVersions:
		for h.oldest < s.oldest && len(h.versions) > 1 {
			h.versions = h.versions[1:]
			h.oldest++
		}
	default:
		if !exists {
			h.oldest = 1
		}
		h.versions = append(h.versions, version{s.value})
		most := m.settings[place{store: s.at.store, bucket: s.at.bucket}].MaxVersions
		// A put drops 16 versions at most when the limit was lowered.
		for dropped := 0; h.count() > most; h.oldest-- {
			if h.oldest == 1 {
				if dropped == 16 {
					break
				}
				dropped++
				h.versions = h.versions[1:]
				h.oldest++
			}
		}
	}
	m.keys[s.at] = h
}

// readHistory is a key as it was read.
type readHistory struct {
	data       []string
	dead       []bool
	oldest     int
	vacuumable bool
}

// diffVersioned says how what was read differs from a model, "" when it does not.
func diffVersioned(m *versionedModel, got map[place]readHistory) string {
	for _, at := range m.places() {
		h, want := m.keys[at]
		r, ok := got[at]
		switch {
		case want != ok:
			return fmt.Sprintf("%v: there %t, should be %t", at, ok, want)
		case !ok:
		case r.oldest != h.oldest || len(r.data) != len(h.versions):
			return fmt.Sprintf("%v: versions %d..%d, should be %d..%d", at, r.oldest, r.oldest+len(r.data)-1, h.oldest, h.count())
		case r.vacuumable != h.vacuumable:
			return fmt.Sprintf("%v: vacuumable %t", at, r.vacuumable)
		default:
			for i, v := range h.versions {
				if r.dead[i] != (v.value == 0) || v.value != 0 && r.data[i] != string(v.value.bytes()) {
					return fmt.Sprintf("%v: version %d has other contents", at, h.oldest+i)
				}
			}
		}
	}
	if len(got) != len(m.keys) {
		return fmt.Sprintf("%d keys, should be %d: %v", len(got), len(m.keys), slices.Collect(maps.Keys(got)))
	}
	return ""
}
