package storemodel

import (
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/vacuum"
)

// Vacuum removes what p does not keep at now, and returns how many versions that were.
func (m *Bucket) Vacuum(p vacuum.Policy, now hlc.Timestamp) (removed int) {
	for name, k := range m.Keys {
		keep := k.Keep(p, now, m.Settings.MaxVersions)
		removed += len(k.Versions) - keep
		if keep == 0 {
			delete(m.Keys, name)
			continue
		}
		k.Oldest += len(k.Versions) - keep
		k.Versions = k.Versions[len(k.Versions)-keep:]
	}
	return removed
}

// Keep returns how many of the key's newest versions stay; 0: the key goes as a whole. It looks at one version
// after the other, the slow and obvious way.
func (k *Key) Keep(p vacuum.Policy, now hlc.Timestamp, maxVersions int) int {
	cutoff := hlc.Timestamp{WallNanos: max(0, now.WallNanos-int64(p.KeepNewerThan)), Logical: now.Logical}
	latest := k.Latest()
	if p.Deleted && latest.Dead && k.Revision.Compare(cutoff) <= 0 {
		return 0
	}
	if p.Expired && !latest.Expires.IsZero() && !latest.Expires.After(cutoff.Time()) {
		return 0
	}
	kept := 0
	for i := range k.Versions {
		rank := len(k.Versions) - i // 1 is the latest
		protected := rank <= max(1, p.KeepNewest)
		if rank > 1 && p.KeepNewerThan > 0 && k.Versions[i+1].TS.Compare(cutoff) > 0 {
			protected = true // it was the latest after the cutoff
		}
		inScope := p.AllKeys || k.Vacuumable
		if rank == 1 || rank <= maxVersions && (protected || !inScope) {
			kept++
		}
	}
	return kept
}
