package base

import "strconv"

// quoteLimit is how many bytes of a key an error message shows.
const quoteLimit = 64

// Quote returns b as a Go string literal for an error or a log line, cut after 64 bytes with the
// full length behind it. The result is printable whatever b holds.
func Quote(b []byte) string {
	if len(b) <= quoteLimit {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(string(b[:quoteLimit])) + "… (" + strconv.Itoa(len(b)) + " bytes)"
}
