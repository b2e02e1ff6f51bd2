package storemodel

import (
	"fmt"
	"slices"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Version is one version of a key.
type Version struct {
	Data    string
	TS      hlc.Timestamp
	Expires time.Time // the zero time: never
	Dead    bool
}

// LiveAt reports whether the version is a value at wall time now.
func (v Version) LiveAt(now time.Time) bool {
	return !v.Dead && (v.Expires.IsZero() || now.Before(v.Expires))
}

// Key is a key: its versions, the first of which has the number Oldest. nil is a key that does not exist.
type Key struct {
	Versions   []Version
	Oldest     int
	Created    hlc.Timestamp
	Revision   hlc.Timestamp
	Vacuumable bool
	Written    int
}

// Exists reports whether the key has a version, be it a tombstone.
func (k *Key) Exists() bool { return k != nil && len(k.Versions) > 0 }

// Count returns the number of the latest version.
func (k *Key) Count() int { return k.Oldest + len(k.Versions) - 1 }

// Latest returns the latest version.
func (k *Key) Latest() Version { return k.Versions[len(k.Versions)-1] }

// At returns what the key held at ts and the number of that version, or the error of Bucket.GetAt.
func (k *Key) At(ts hlc.Timestamp) (Version, int, error) {
	for i, v := range slices.Backward(k.Versions) {
		if !ts.Less(v.TS) {
			if !v.LiveAt(ts.Time()) {
				return Version{}, 0, versioning.ErrNotFound
			}
			return v, k.Oldest + i, nil
		}
	}
	if ts.Less(k.Created) {
		return Version{}, 0, versioning.ErrNotFound
	}
	return Version{}, 0, versioning.ErrHistoryTruncated
}

// Bucket is one bucket.
type Bucket struct {
	Keys     map[string]*Key
	Settings versioning.Settings // without Updated
}

// NewBucket returns an empty bucket with the default settings.
func NewBucket() *Bucket {
	return &Bucket{Keys: map[string]*Key{}, Settings: versioning.DefaultSettings()}
}

// Clone returns a deep copy.
func (m *Bucket) Clone() *Bucket {
	c := &Bucket{Keys: map[string]*Key{}, Settings: m.Settings}
	for name, k := range m.Keys {
		copied := *k
		copied.Versions = slices.Clone(k.Versions)
		c.Keys[name] = &copied
	}
	return c
}

// Usage returns what the bucket holds.
func (m *Bucket) Usage() versioning.Usage {
	var u versioning.Usage
	for name, k := range m.Keys {
		u.Keys++
		u.Versions += int64(len(k.Versions))
		for _, v := range k.Versions {
			u.Bytes += int64(len(name) + len(v.Data))
		}
	}
	return u
}

// Op is one write. The fields are those of versioning.Op, except Revision, which says what the write is made conditional
// on: "" nothing, "right" the revision that the key has, "wrong" another one, "none" that there is no key.
type Op struct {
	Kind       versioning.OpKind
	Key, Data  string
	IfAbsent   bool
	Tombstone  bool
	Revision   string
	IfVersion  int
	Expires    time.Time
	Vacuumable *bool
	Oldest     int
	Settings   versioning.Settings
}

func (op Op) String() string {
	return fmt.Sprintf("%v %q %.20q absent=%t rev=%s ver=%d oldest=%d %d/%v", op.Kind, op.Key, op.Data, op.IfAbsent, op.Revision, op.IfVersion,
		op.Oldest, op.Settings.MaxVersions, op.Settings.Rollover)
}

// Refuse returns the error that op must meet, or nil. now is the wall time of its timestamp.
func (m *Bucket) Refuse(op *Op, now time.Time) error {
	k := m.Keys[op.Key]
	switch {
	case op.Kind == versioning.OpSetSettings:
		return nil
	case op.Revision == "wrong", op.Revision == "none" && k.Exists():
		return versioning.ErrRevisionMismatch
	}
	live := k.Exists() && k.Latest().LiveAt(now)
	if err := m.refuseKind(op, k, live); err != nil {
		return err
	}
	count := 0
	if k.Exists() {
		count = k.Count()
	}
	if op.IfVersion != 0 && op.IfVersion != count {
		return versioning.ErrRevisionMismatch
	}
	return nil
}

// refuseKind is what depends on the kind of the operation.
func (m *Bucket) refuseKind(op *Op, k *Key, live bool) error {
	switch op.Kind {
	case versioning.OpPut:
		if op.IfAbsent && live {
			return versioning.ErrExists
		}
		if m.Settings.Rollover == versioning.Refuse && k.Exists() && k.Count()+1-m.Settings.MaxVersions >= k.Oldest {
			return versioning.ErrVersionsExhausted
		}
	case versioning.OpRestore:
		if m.Settings.Rollover == versioning.Refuse && !op.Tombstone && k.Exists() && k.Count() == versioning.MaxVersions && k.Oldest == 1 {
			return versioning.ErrVersionsExhausted
		}
	case versioning.OpDelete:
		if !live {
			return versioning.ErrNotFound
		}
	default:
		if !k.Exists() {
			return versioning.ErrNotFound
		}
	}
	return nil
}

// Apply does op, whose write got the timestamp ts.
func (m *Bucket) Apply(op *Op, ts hlc.Timestamp) {
	k := m.Keys[op.Key]
	switch op.Kind {
	case versioning.OpSetSettings:
		m.Settings = op.Settings
	case versioning.OpPurge:
		delete(m.Keys, op.Key)
	case versioning.OpSetVacuumable:
		if k.Vacuumable != *op.Vacuumable {
			k.Vacuumable, k.Revision = *op.Vacuumable, ts
		}
	case versioning.OpDropVersions:
		k.drop(op.Oldest)
	case versioning.OpPut, versioning.OpDelete, versioning.OpRestore:
		oldest, most := 1, m.Settings.MaxVersions
		if op.Kind == versioning.OpRestore {
			oldest, most = op.Oldest, versioning.MaxVersions
		}
		if k == nil {
			k = &Key{Oldest: oldest, Created: ts}
			m.Keys[op.Key] = k
		}
		dead := op.Kind == versioning.OpDelete || op.Tombstone
		k.Versions = append(k.Versions, Version{Data: op.Data, TS: ts, Expires: op.Expires, Dead: dead})
		k.Revision = ts
		k.Written += len(op.Data)
		if op.Vacuumable != nil {
			k.Vacuumable = *op.Vacuumable
		}
		for dropped := 0; k.Count() > most; k.Oldest-- {
			if k.Oldest == 1 { // the one that would become number 0 drops off
				if dropped == 16 {
					break
				}
				dropped++
				k.Versions = k.Versions[1:]
				k.Oldest++
			}
		}
	}
}

// drop removes the versions below number oldest, never the latest.
func (k *Key) drop(oldest int) {
	for k.Oldest < oldest && len(k.Versions) > 1 {
		k.Versions = k.Versions[1:]
		k.Oldest++
	}
}
