package wire

import "github.com/shieldmaidens/pleiades/base"

// What Parse functions find wrong with a peer's bytes. Every one but ErrTruncated stays true whatever follows.
var (
	// ErrTruncated says that the bytes are the beginning of something valid: read on, or, when the stream has ended,
	// the peer was cut off.
	ErrTruncated = base.New(base.ErrInvalid, "pwp: the bytes end too early")
	// ErrUnknownMagic says that a byte is not in the table of magic bytes.
	ErrUnknownMagic = base.New(base.ErrInvalid, "pwp: not a magic byte")
	// ErrBadValue says that a metadata payload has a value that its magic byte does not allow.
	ErrBadValue = base.New(base.ErrInvalid, "pwp: impossible metadata value")
	// ErrBadPrelude says that the parts of a prelude are not type, checksum, size, in this order.
	ErrBadPrelude = base.New(base.ErrInvalid, "pwp: not a message prelude")
	// ErrTooLarge says that a message is larger than the receiver accepts. The way out: smaller values or pages.
	ErrTooLarge = base.New(base.ErrInvalid, "pwp: the message is larger than the limit")
	// ErrChecksum says that the bytes of a message do not have the checksum of its prelude.
	ErrChecksum = base.New(base.ErrCorruption, "pwp: the message does not have its checksum")
	// ErrBadMessage says that the bytes of a message are not protobuf, or lack what every message has.
	ErrBadMessage = base.New(base.ErrInvalid, "pwp: not a message of this protocol")
)
