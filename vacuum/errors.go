package vacuum

import "github.com/shieldmaidens/pleiades/base"

var (
	// ErrInvalidPolicy says that a policy is out of bounds or would remove the history of all keys.
	ErrInvalidPolicy = base.New(base.ErrInvalid, "vacuum: invalid policy")
	// ErrInvalidOptions says that Options have faults; all are named.
	ErrInvalidOptions = base.New(base.ErrInvalid, "vacuum: invalid options")
)
