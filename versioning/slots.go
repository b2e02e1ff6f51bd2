package versioning

import "github.com/shieldmaidens/pleiades/keys"

// Bounds of version numbers; part of the format, never renumber.
const (
	// Latest names the latest version of a key wherever a version number is asked for, whatever
	// its number is.
	Latest = 255
	// MaxVersions is how many versions a key can have at most.
	MaxVersions = 255

	// slotCount is how many slots old versions have: 1..254.
	slotCount = int(keys.MaxSlot)
	// maxTrim bounds how many stored versions one put removes after max_versions was lowered.
	maxTrim = 16
)

// slotOf returns the slot of the old version with number version, 1..254, in a key of that base.
//
// version + base does not change when a rollover lowers the number by n and raises the base by n, so
// a version stays in its slot as long as it lives, and the slot that the rollover frees is the one
// that the next old version takes.
func slotOf(version, base int) uint8 {
	return uint8((version-1+base)%slotCount + 1)
}
