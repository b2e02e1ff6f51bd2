package node

import "github.com/shieldmaidens/pleiades/base"

var (
	// ErrSettings says that settings hold values that cannot be used; all of them are named.
	ErrSettings = base.New(base.ErrInvalid, "node: invalid settings")
	// ErrNeedsCertificates says that the node would listen beyond the loopback with no certificates, or with those that a
	// first start made for itself. The way out is pleiades cert.
	ErrNeedsCertificates = base.New(base.ErrPermission, "node: certificates of the operator are needed")
	// ErrPortTaken says that somebody else listens on an address of the node.
	ErrPortTaken = base.New(base.ErrUnavailable, "node: the address is in use")
	// ErrAddress says that an address to listen on is not one of this machine's.
	ErrAddress = base.New(base.ErrInvalid, "node: not an address of this machine")
	// ErrWrongNode says that the directory belongs to another node than the certificate.
	ErrWrongNode = base.New(base.ErrPermission, "node: the directory belongs to another node")
	// ErrStopTimeout says that a step of stopping took too long and was left behind. The process should exit.
	ErrStopTimeout = base.New(base.ErrOverloaded, "node: a step of stopping took too long")
	// ErrPanicked says that a part of the node panicked.
	ErrPanicked = base.New(base.ErrCorruption, "node: a part panicked")
	// ErrNotRunning says that no node runs in a directory.
	ErrNotRunning = base.New(base.ErrNotFound, "node: no node runs there")
	// ErrStopped says that the node was stopped.
	ErrStopped = base.New(base.ErrClosed, "node: stopped")
)
