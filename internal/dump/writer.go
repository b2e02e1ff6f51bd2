package dump

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a dump. Without Close the dump has no end record and reads as ErrTruncated.
type Writer struct {
	w        *bufio.Writer
	buf      []byte
	lastKey  []byte
	keys     uint64
	versions uint64
	chain    uint32
}

// NewWriter writes the header to w. w is not closed by the Writer.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	b := append([]byte(nil), Magic...)
	b = binary.BigEndian.AppendUint16(b, formatVersion)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(headerPayload))
	b = h.Created.AppendBinary(b)
	b = binary.BigEndian.AppendUint64(b, h.Bucket)
	b = binary.BigEndian.AppendUint16(b, uint16(h.MaxVersions))
	b = append(b, h.Rollover)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	bw := bufio.NewWriterSize(w, 256<<10)
	if _, err := bw.Write(b); err != nil {
		return nil, err
	}
	return &Writer{w: bw}, nil
}

// Write adds one version. Versions of one key follow each other, oldest first, and keys ascend; an
// earlier key than the last one is an error. v is not kept.
func (w *Writer) Write(v *Version) error {
	same := w.versions > 0 && bytes.Equal(v.Key, w.lastKey)
	if w.versions > 0 && bytes.Compare(v.Key, w.lastKey) < 0 {
		return fmt.Errorf("%w: keys out of order", ErrTooLong)
	}
	b, err := appendVersion(append(w.buf[:0], typeVersion, 0, 0, 0, 0), v)
	if err != nil {
		return err
	}
	w.buf = b
	if !same {
		w.keys++
		w.lastKey = append(w.lastKey[:0], v.Key...)
	}
	w.versions++
	return w.record()
}

// record completes the record in w.buf and writes it.
func (w *Writer) record() error {
	binary.BigEndian.PutUint32(w.buf[1:], uint32(len(w.buf)-5))
	w.buf = binary.BigEndian.AppendUint32(w.buf, crc32.Checksum(w.buf, castagnoli))
	w.chain = crc32.Update(w.chain, castagnoli, w.buf[len(w.buf)-4:])
	_, err := w.w.Write(w.buf)
	return err
}

// Close writes the end record and flushes.
func (w *Writer) Close() error {
	b := append(w.buf[:0], typeEnd, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, w.keys)
	b = binary.BigEndian.AppendUint64(b, w.versions)
	w.buf = binary.BigEndian.AppendUint32(b, w.chain)
	if err := w.record(); err != nil {
		return err
	}
	return w.w.Flush()
}

// Counts returns how many keys and versions were written.
func (w *Writer) Counts() (keys, versions uint64) { return w.keys, w.versions }
