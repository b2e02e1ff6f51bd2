package record

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/internal/dump"
)

// guessBytes is how much of the first line is looked at.
const guessBytes = 4 << 10

// peekLine returns the beginning of the input, up to behind the first line that is not blank where it is no longer
// than guessBytes. It does not wait for more than that, so that a slow input is read as it comes.
func peekLine(r *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(n)
		head, _ := r.Peek(min(r.Buffered(), guessBytes))
		if errors.Is(err, io.EOF) || len(head) == guessBytes || bytes.IndexByte(bytes.TrimLeft(head, " \t\r\n"), '\n') >= 0 {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// guess tells the format by the first line, without consuming it. Empty input counts as JSON lines.
func guess(r *bufio.Reader) (Format, error) {
	head, err := peekLine(r)
	if err != nil {
		return "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte(dump.Magic)):
		return Dump, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "", packed("gzip", "zcat")
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return "", packed("xz", "xzcat")
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "", packed("zstd", "zstdcat")
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	if len(text) == 0 || text[0] == '{' {
		return JSONL, nil
	}
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte{'\n'})
	if _, _, ok := cutField(line); ok {
		return Deb, nil
	}
	if bytes.IndexByte(line, '\t') >= 0 {
		return TSV, nil
	}
	return "", exit.New(exit.Usage, "say what it is: --format jsonl, tsv, deb or dump",
		"%w: the input's first line looks like none of the known formats: %s", base.ErrInvalid, base.Quote(line))
}

func packed(what, tool string) error {
	return exit.New(exit.Usage, "unpack it on the way: "+tool+" FILE | pleiades kv load -", "%w: the input is compressed with %s", base.ErrInvalid, what)
}
