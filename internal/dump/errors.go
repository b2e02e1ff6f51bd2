package dump

import "github.com/shieldmaidens/pleiades/base"

var (
	// ErrNotDump says that the input does not begin like a dump.
	ErrNotDump = base.New(base.ErrInvalid, "dump: this is not a Pleiades dump")
	// ErrVersion says that the dump was written by a newer program.
	ErrVersion = base.New(base.ErrVersion, "dump: written in a newer version of the format")
	// ErrDamaged says that bytes of the dump are not what was written.
	ErrDamaged = base.New(base.ErrCorruption, "dump: damaged")
	// ErrTruncated says that the dump stops before its end. It matches ErrDamaged's marker too.
	ErrTruncated = base.New(base.ErrCorruption, "dump: cut off before its end")
	// ErrImpossible says that a version to be written is none that a store can hold.
	ErrImpossible = base.New(base.ErrInvalid, "dump: impossible version")
	// ErrTooLong says that a key or a value does not fit into the format.
	ErrTooLong = base.New(base.ErrInvalid, "dump: too long for the format")
)
