// Package base holds what every layer of Pleiades shares and nothing else: the error markers that
// callers test with errors.Is, and the one way in which bytes are shown in messages.
//
// A package defines its own sentinels as errors that wrap a marker, and adds the operands where the
// error happens:
//
//	var ErrEmptyKey = base.New(base.ErrInvalid, "keys: the key is empty")
//	...
//	return fmt.Errorf("%w: bucket %d", ErrEmptyKey, bucket)
//
// so that errors.Is(err, keys.ErrEmptyKey) and errors.Is(err, base.ErrInvalid) both hold.
//
// The package imports the standard library only and has no state.
package base
