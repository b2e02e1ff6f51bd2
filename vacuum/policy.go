package vacuum

import (
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Policy says what may be removed. The zero policy takes all old versions of keys that are marked
// vacuumable, and of any key what is beyond the bucket's max_versions.
type Policy struct {
	// AllKeys lets KeepNewest and KeepNewerThan, one of which must then be set, take old versions of
	// keys too that are not marked vacuumable.
	AllKeys bool
	// KeepNewest is how many of the newest versions stay, the latest included, 1..255. 0 means 1.
	KeepNewest int
	// KeepNewerThan keeps every version that was the latest at any time within that duration before
	// the run: reads at a timestamp work that far back. A version stays when either rule keeps it.
	// Keys that are deleted or expired stay until they have been so for that long. 0 means no such
	// rule.
	KeepNewerThan time.Duration
	// Deleted removes keys whose latest version is a tombstone, with their whole history, marked or
	// not.
	Deleted bool
	// Expired removes keys whose latest version has expired, likewise.
	Expired bool
}

// Validate returns ErrInvalidPolicy with all faults, or nil.
func (p Policy) Validate() error {
	var faults []error
	if p.KeepNewest < 0 || p.KeepNewest > versioning.MaxVersions {
		faults = append(faults, fmt.Errorf("KeepNewest %d is not in 0..%d", p.KeepNewest, versioning.MaxVersions))
	}
	if p.KeepNewerThan < 0 {
		faults = append(faults, fmt.Errorf("KeepNewerThan %v is negative", p.KeepNewerThan))
	}
	if p.AllKeys && p.KeepNewest == 0 && p.KeepNewerThan == 0 {
		faults = append(faults, errors.New("AllKeys would take the history of every key: say KeepNewest 1 if that is meant"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalidPolicy, errors.Join(faults...))
	}
	return nil
}

// Reason says which rule a step follows.
type Reason uint8

// The reasons, strongest first: a step names the first that applies.
const (
	// ReasonDeleted: the key is deleted, and goes as a whole.
	ReasonDeleted Reason = 1
	// ReasonExpired: the key's latest version has expired, and it goes as a whole.
	ReasonExpired Reason = 2
	// ReasonRetention: old versions that the policy does not keep.
	ReasonRetention Reason = 3
	// ReasonMaxVersions: old versions beyond the bucket's max_versions, and no others.
	ReasonMaxVersions Reason = 4
)

func (r Reason) String() string {
	switch r {
	case ReasonDeleted:
		return "deleted"
	case ReasonExpired:
		return "expired"
	case ReasonRetention:
		return "retention"
	case ReasonMaxVersions:
		return "max-versions"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// rules are a policy applied to one bucket at one time.
type rules struct {
	policy      Policy
	maxVersions int
	// cutoff is KeepNewerThan before now: whatever was superseded or dead by then may go.
	cutoff hlc.Timestamp
}

func newRules(p Policy, now hlc.Timestamp, maxVersions int) rules {
	cutoff := now
	cutoff.WallNanos = max(0, now.WallNanos-int64(p.KeepNewerThan))
	return rules{policy: p, maxVersions: maxVersions, cutoff: cutoff}
}

// verdict is what the rules say of one key. The zero verdict is "nothing goes".
type verdict struct {
	reason Reason
	// purge: the key goes as a whole.
	purge bool
	// Otherwise versions below floor go, whatever their age, and those from there up to below
	// ceiling that were superseded by the cutoff. floor == ceiling: age does not matter.
	floor, ceiling int
}

func (v verdict) nothing() bool { return v.reason == 0 }

// judge decides on a key by its descriptor alone, without I/O.
func (r rules) judge(d *versioning.Descriptor) verdict {
	switch {
	case d.Versions == 0:
		return verdict{}
	case d.Deleted:
		// The tombstone is at most as new as the revision.
		if r.policy.Deleted && !r.cutoff.Less(d.Revision) {
			return verdict{reason: ReasonDeleted, purge: true}
		}
	case r.policy.Expired && !d.ExpireAt.IsZero() && d.ExpireAt.UnixNano() <= r.cutoff.WallNanos:
		return verdict{reason: ReasonExpired, purge: true}
	}
	v := verdict{floor: max(d.Oldest, d.Versions-r.maxVersions+1)}
	v.ceiling = v.floor
	if v.floor > d.Oldest {
		v.reason = ReasonMaxVersions
	}
	if !r.policy.AllKeys && !d.Vacuumable {
		return v
	}
	byCount := d.Versions - max(1, r.policy.KeepNewest) + 1
	switch {
	case byCount <= v.floor:
		return v // the newest N reach down to what there is
	case r.policy.KeepNewerThan == 0 || !r.cutoff.Less(d.Revision):
		v.floor = byCount // everything below the latest was superseded by the cutoff
	case r.cutoff.Less(d.Created):
		return v // all versions are newer
	}
	v.ceiling, v.reason = byCount, ReasonRetention
	return v
}

// superseded reports whether a version went out of use by the cutoff, given when the version above it
// was written.
func (r rules) superseded(next hlc.Timestamp) bool { return !r.cutoff.Less(next) }
