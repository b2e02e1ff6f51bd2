package dump

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/shieldmaidens/pleiades/hlc"
)

// Reader reads a dump. Its errors are final.
type Reader struct {
	r        *bufio.Reader
	header   Header
	buf      bytes.Buffer
	lastKey  []byte
	keys     uint64
	versions uint64
	chain    uint32
	err      error
}

// NewReader reads the header from r.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: bufio.NewReaderSize(r, 256<<10)}
	h := make([]byte, headerFixed)
	n, err := io.ReadFull(d.r, h)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if !bytes.HasPrefix(h[:n], []byte(Magic)) {
		if n > 0 && n < len(Magic) && bytes.HasPrefix([]byte(Magic), h[:n]) {
			return nil, fmt.Errorf("%w: after %d bytes", ErrTruncated, n)
		}
		return nil, ErrNotDump
	}
	if n < headerFixed {
		return nil, fmt.Errorf("%w: after %d bytes", ErrTruncated, n)
	}
	if v := binary.BigEndian.Uint16(h[len(Magic):]); v != formatVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrVersion, v, formatVersion)
	}
	if flags := binary.BigEndian.Uint16(h[len(Magic)+2:]); flags != 0 {
		return nil, fmt.Errorf("%w: unknown flags %#x", ErrVersion, flags)
	}
	if size := binary.BigEndian.Uint32(h[len(Magic)+4:]); size != uint32(headerPayload) {
		return nil, fmt.Errorf("%w: a header of %d bytes instead of %d", ErrDamaged, size, headerPayload)
	}
	p := make([]byte, headerPayload+4)
	if _, err := io.ReadFull(d.r, p); err != nil {
		return nil, cutOff(err, "in the header")
	}
	sum := binary.BigEndian.Uint32(p[headerPayload:])
	if got := crc32.Update(crc32.Checksum(h, castagnoli), castagnoli, p[:headerPayload]); got != sum {
		return nil, fmt.Errorf("%w: the header's checksum is %08x, its bytes make %08x", ErrDamaged, sum, got)
	}
	created, err := hlc.ParseBinary(p[:hlc.EncodedBytes])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	rest := p[hlc.EncodedBytes:]
	d.header = Header{Created: created, Bucket: binary.BigEndian.Uint64(rest), MaxVersions: int(binary.BigEndian.Uint16(rest[8:])), Rollover: rest[10]}
	return d, nil
}

// Header returns what the dump says of itself.
func (d *Reader) Header() Header { return d.header }

// Next returns the next version, or io.EOF behind the end record.
func (d *Reader) Next() (*Version, error) {
	if d.err != nil {
		return nil, d.err
	}
	v, err := d.next()
	if err != nil {
		d.err = err
	}
	return v, err
}

func (d *Reader) next() (*Version, error) {
	chain := d.chain
	kind, payload, err := d.record()
	if err != nil {
		return nil, err
	}
	switch kind {
	case typeVersion:
		v, err := parseVersion(payload)
		if err != nil {
			return nil, d.at(err)
		}
		switch c := bytes.Compare(v.Key, d.lastKey); {
		case d.versions > 0 && c < 0:
			return nil, d.at(fmt.Errorf("%w: keys out of order", ErrDamaged))
		case d.versions == 0 || c > 0:
			d.keys++
			d.lastKey = append(d.lastKey[:0], v.Key...)
		}
		d.versions++
		return v, nil
	case typeEnd:
		if len(payload) != endPayload {
			return nil, d.at(fmt.Errorf("%w: an end record of %d bytes", ErrDamaged, len(payload)))
		}
		keys, versions := binary.BigEndian.Uint64(payload), binary.BigEndian.Uint64(payload[8:])
		if keys != d.keys || versions != d.versions || binary.BigEndian.Uint32(payload[16:]) != chain {
			return nil, fmt.Errorf("%w: the end record counts %d keys and %d versions, read were %d and %d", ErrDamaged, keys, versions, d.keys, d.versions)
		}
		if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: bytes behind the end record", ErrDamaged)
		}
		return nil, io.EOF
	default:
		return nil, d.at(fmt.Errorf("%w: record type %d", ErrVersion, kind))
	}
}

// record reads one record and checks its checksum; the payload aliases d.buf.
func (d *Reader) record() (kind byte, payload []byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(d.r, h[:]); err != nil {
		return 0, nil, d.at(cutOff(err, "in front of a record"))
	}
	size := binary.BigEndian.Uint32(h[1:])
	if int64(size) > maxPayload {
		return 0, nil, d.at(fmt.Errorf("%w: a record of %d bytes", ErrDamaged, size))
	}
	d.buf.Reset()
	if _, err := io.CopyN(&d.buf, d.r, int64(size)+4); err != nil {
		return 0, nil, d.at(cutOff(err, "in a record"))
	}
	b := d.buf.Bytes()
	payload = b[:size:size]
	sum := binary.BigEndian.Uint32(b[size:])
	if got := crc32.Update(crc32.Checksum(h[:], castagnoli), castagnoli, payload); got != sum {
		return 0, nil, d.at(fmt.Errorf("%w: the checksum is %08x, the bytes make %08x", ErrDamaged, sum, got))
	}
	d.chain = crc32.Update(d.chain, castagnoli, b[size:])
	return h[0], payload, nil
}

// at adds to err how far the reading came.
func (d *Reader) at(err error) error {
	return fmt.Errorf("%w (record %d)", err, d.versions+1)
}

func cutOff(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s", ErrTruncated, where)
	}
	return err
}
