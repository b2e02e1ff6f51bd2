package versioning

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/hlc"
)

// checkRestore is check for what only OpRestore has.
func (op *Op) checkRestore() error {
	switch {
	case op.Oldest < 1 || op.Oldest > MaxVersions:
		return fmt.Errorf("%w: restore as version %d", ErrInvalidVersion, op.Oldest)
	case op.Tombstone && (len(op.Value) > 0 || op.ExpiresWallNanos != 0):
		return fmt.Errorf("%w: a deletion with a value or an expiry", ErrInvalidOptions)
	}
	return nil
}

// planRestore plans a version that is appended as it was elsewhere: max_versions, which may have been
// lowered since, do not cut its key's history short.
func (a *Applier) planRestore(op *Op, d *descriptor, settings Settings, ts hlc.Timestamp) (Record, error) {
	crc, err := op.checksum()
	if err != nil {
		return Record{}, err
	}
	settings.MaxVersions = MaxVersions
	rec := Record{
		Data: op.Value, Timestamp: ts, ExpiresWallNanos: op.ExpiresWallNanos, Tombstone: op.Tombstone, Checksum: crc,
	}
	return rec, planVersion(&a.plan, d, settings, version{
		ts: ts, bytes: int64(len(op.Value)), expires: op.ExpiresWallNanos, tombstone: op.Tombstone,
		vacuumable: op.Vacuumable, number: op.Oldest,
	})
}
