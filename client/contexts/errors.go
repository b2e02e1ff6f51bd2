package contexts

import "github.com/shieldmaidens/pleiades/base"

var (
	// ErrNotFound says that there is no context of that name, or no current one. "pleiades node start" makes one on the
	// machine of the node; on others write the file, or give addresses and certificates without a context.
	ErrNotFound = base.New(base.ErrNotFound, "contexts: no such context")
	// ErrInvalid says that a name or a file is not one that this package could have written; the text says where.
	ErrInvalid = base.New(base.ErrInvalid, "contexts: invalid")
)
