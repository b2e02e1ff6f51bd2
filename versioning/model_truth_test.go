package versioning_test

import (
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// modelVersion and modelKey are the plain truth: a slice of versions, the first of which has the
// number oldest.
type modelVersion struct {
	data    string
	ts      hlc.Timestamp
	expires time.Time
	dead    bool
}

type modelKey struct {
	versions   []modelVersion
	oldest     int
	created    hlc.Timestamp
	revision   hlc.Timestamp
	vacuumable bool
	written    int
}

func (k *modelKey) exists() bool         { return k != nil && len(k.versions) > 0 }
func (k *modelKey) count() int           { return k.oldest + len(k.versions) - 1 }
func (k *modelKey) latest() modelVersion { return k.versions[len(k.versions)-1] }

func (v modelVersion) liveAt(now time.Time) bool {
	return !v.dead && (v.expires.IsZero() || now.Before(v.expires))
}

// model is one bucket.
type model struct {
	keys     map[string]*modelKey
	settings versioning.Settings
}

func newModel() *model {
	return &model{keys: map[string]*modelKey{}, settings: versioning.DefaultSettings()}
}

func (m *model) clone() *model {
	c := &model{keys: map[string]*modelKey{}, settings: m.settings}
	for name, k := range m.keys {
		copied := *k
		copied.versions = append([]modelVersion(nil), k.versions...)
		c.keys[name] = &copied
	}
	return c
}

// modelOp is an operation in terms of the model.
type modelOp struct {
	kind       versioning.OpKind
	key, data  string
	ifAbsent   bool
	revision   string // "", "right", "wrong", "none"
	expires    time.Time
	vacuumable *bool
	oldest     int
	settings   versioning.Settings
}

// refuse returns the error that op must meet, or nil. now is the wall time of its timestamp.
func (m *model) refuse(op *modelOp, now time.Time) error {
	k := m.keys[op.key]
	switch {
	case op.kind == versioning.OpSetSettings:
		return nil
	case op.revision == "wrong", op.revision == "none" && k.exists():
		return versioning.ErrRevisionMismatch
	}
	live := k.exists() && k.latest().liveAt(now)
	switch op.kind {
	case versioning.OpPut:
		if op.ifAbsent && live {
			return versioning.ErrExists
		}
		if m.settings.Rollover == versioning.Refuse && k.exists() && k.count()+1-m.settings.MaxVersions >= k.oldest {
			return versioning.ErrVersionsExhausted
		}
	case versioning.OpDelete:
		if !live {
			return versioning.ErrNotFound
		}
	default:
		if !k.exists() {
			return versioning.ErrNotFound
		}
	}
	return nil
}

// apply does op, whose write got the timestamp ts.
func (m *model) apply(op *modelOp, ts hlc.Timestamp) {
	k := m.keys[op.key]
	switch op.kind {
	case versioning.OpSetSettings:
		m.settings = op.settings
	case versioning.OpPurge:
		delete(m.keys, op.key)
	case versioning.OpSetVacuumable:
		if k.vacuumable != *op.vacuumable {
			k.vacuumable, k.revision = *op.vacuumable, ts
		}
	case versioning.OpDropVersions:
		for k.oldest < op.oldest && len(k.versions) > 1 {
			k.versions = k.versions[1:]
			k.oldest++
		}
	case versioning.OpPut, versioning.OpDelete:
		if k == nil {
			k = &modelKey{oldest: 1, created: ts}
			m.keys[op.key] = k
		}
		k.versions = append(k.versions, modelVersion{data: op.data, ts: ts, expires: op.expires, dead: op.kind == versioning.OpDelete})
		k.revision = ts
		k.written += len(op.data)
		if op.vacuumable != nil {
			k.vacuumable = *op.vacuumable
		}
		for dropped := 0; k.count() > m.settings.MaxVersions; k.oldest-- {
			if k.oldest == 1 { // the one that would become number 0 drops off
				if dropped == 16 {
					break
				}
				dropped++
				k.versions = k.versions[1:]
				k.oldest++
			}
		}
	}
}
