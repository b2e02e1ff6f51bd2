package cli

import (
	"fmt"
	"strings"
)

// maxBadLines is how many line numbers of bad records are remembered; further ones are counted.
const maxBadLines = 100

// badLines are the bad records of a load.
type badLines struct {
	count int64
	first []int // the first line numbers
}

func (b *badLines) add(line int64) {
	b.count++
	if len(b.first) < maxBadLines {
		b.first = append(b.first, int(line))
	}
}

// String lists the first line numbers for people.
func (b *badLines) String() string {
	var sb strings.Builder
	sb.WriteString("line")
	if b.count > 1 {
		sb.WriteByte('s')
	}
	for i, n := range b.first {
		if i > 0 {
			sb.WriteByte(',')
		}
		if i == shownErrors {
			sb.WriteString(" …")
			break
		}
		fmt.Fprintf(&sb, " %d", n)
	}
	return sb.String()
}
