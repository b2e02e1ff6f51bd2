package kverr

import (
	"errors"

	"github.com/shieldmaidens/pleiades/keys"
)

// table gives each error its number on the wire; part of the format, never renumber. An error that matches several rows
// has the number of the first.
var table = [...]struct {
	number   uint32
	sentinel error
}{
	{1, ErrNotFound},
	{2, ErrHistoryTruncated},
	{3, ErrRevisionMismatch},
	{4, ErrExists},
	{5, ErrVersionsExhausted},
	{6, ErrValueTooLarge},
	{7, ErrInvalidVersion},
	{8, ErrInvalidSettings},
	{9, ErrChecksumMismatch},
	{10, ErrBadToken},
	{11, ErrTokenVersion},
	{12, ErrBusy},
	{13, keys.ErrEmptyKey},
	{14, keys.ErrKeyTooLong},
	{15, ErrBadRequest},
	{16, ErrBatchTooLarge},
	{20, ErrBucketNotFound},
	{21, ErrAccountNotFound},
	{22, ErrBucketExists},
	{23, ErrAccountExists},
	{24, ErrDeleting},
	{25, ErrNotEmpty},
	{26, ErrQuota},
	{27, ErrInvalidName},
	{28, ErrNotOwner},
	{29, ErrReserved},
	{30, ErrSessionExpired},
	{31, ErrSessionForeign},
	{32, ErrSequence},
}

// NumberOf returns the number of the sentinel that err matches, 0 when it matches none.
func NumberOf(err error) uint32 {
	for _, row := range table {
		if errors.Is(err, row.sentinel) {
			return row.number
		}
	}
	return 0
}

// Sentinel returns the error with that number, nil when this program does not know it: a newer peer sent it, and only
// the code beside it can be judged.
func Sentinel(number uint32) error {
	for _, row := range table {
		if row.number == number {
			return row.sentinel
		}
	}
	return nil
}

// Numbers returns all numbers, in order.
func Numbers() []uint32 {
	all := make([]uint32, 0, len(table))
	for _, row := range table {
		all = append(all, row.number)
	}
	return all
}
