package kvservice

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// encoded is a message as the generated code writes it.
type encoded interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
}

// decoded is a message as the generated code reads it.
type decoded interface{ UnmarshalVTUnsafe(b []byte) error }

// decode reads the message of r into m, which then aliases it.
func decode(r *pwp.Request, m decoded) error {
	if err := m.UnmarshalVTUnsafe(r.Message()); err != nil {
		return fmt.Errorf("%w: %s: %v", kverr.ErrBadRequest, kvwire.Name(r.Type()), err)
	}
	return nil
}

// keptBytes is the size above which a buffer is not kept for later.
const keptBytes = 128 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func freeBuffer(b *[]byte) {
	if cap(*b) <= keptBytes {
		buffers.Put(b)
	}
}

// appendMessage appends the bytes of m.
func appendMessage(dst []byte, m encoded) ([]byte, error) {
	start, n := len(dst), m.SizeVT()
	if cap(dst)-start < n {
		grown := make([]byte, start, start+max(n, start))
		copy(grown, dst)
		dst = grown
	}
	dst = dst[:start+n]
	if _, err := m.MarshalToSizedBufferVT(dst[start:]); err != nil {
		return dst[:start], fmt.Errorf("kvservice: encoding %T: %w", m, err)
	}
	return dst, nil
}

// reply answers r with m.
func reply(r *pwp.Request, m encoded) error {
	buf := buffers.Get().(*[]byte)
	defer freeBuffer(buf)
	var err error
	if *buf, err = appendMessage((*buf)[:0], m); err != nil {
		return err
	}
	return r.Reply(kvwire.Response(r.Type()), *buf)
}

// send sends m as one of many answers to r.
func send(r *pwp.Request, m encoded) error {
	buf := buffers.Get().(*[]byte)
	defer freeBuffer(buf)
	var err error
	if *buf, err = appendMessage((*buf)[:0], m); err != nil {
		return err
	}
	return r.Send(kvwire.Response(r.Type()), *buf)
}

// ChunkBytes is how much a stream collects before it is sent.
const ChunkBytes = 32 << 10

// listField is the field of all list messages that repeats, as a protobuf tag: 3, with a length.
const listField = 3<<3 | 2

// chunk collects the elements of a stream as field 3 of its message. Elements are encoded as they come, so that what they
// point to is not kept.
type chunk struct {
	r   *pwp.Request
	buf *[]byte
	n   int
	// release gives back what the stream holds, large what its large entry holds until it is sent.
	release, large func()
}

// streamBytes is about what a stream holds: its goroutine, the chunk, its place in the store and what is read ahead there.
const streamBytes = 192 << 10

// newChunk begins a stream. Error: pwp.ErrHeld when those of the connection hold too much.
func newChunk(r *pwp.Request) (*chunk, error) {
	release, err := r.Hold(streamBytes)
	if err != nil {
		return nil, err
	}
	buf := buffers.Get().(*[]byte)
	*buf = (*buf)[:0]
	return &chunk{r: r, buf: buf, release: release}, nil
}

// free gives the chunk's memory back.
func (c *chunk) free() {
	freeBuffer(c.buf)
	c.freeLarge()
	c.release()
}

func (c *chunk) freeLarge() {
	if c.large != nil {
		c.large()
		c.large = nil
	}
}

// add puts an element into the chunk. Error: pwp.ErrHeld when it is large and other streams of the connection hold
// large ones.
func (c *chunk) add(m encoded) (err error) {
	size := m.SizeVT()
	if size > largeBytes {
		if c.large, err = c.r.Hold(2 * size); err != nil {
			return err
		}
	}
	b := append(*c.buf, listField)
	b = binary.AppendUvarint(b, uint64(size))
	*c.buf, err = appendMessage(b, m)
	c.n++
	return err
}

func (c *chunk) full() bool { return len(*c.buf) >= ChunkBytes }

// flush sends what was collected, behind it the encoded fields of tail.
func (c *chunk) flush(tail []byte) error {
	*c.buf = append(*c.buf, tail...)
	err := c.r.Send(kvwire.Response(c.r.Type()), *c.buf)
	*c.buf, c.n = (*c.buf)[:0], 0
	if c.large != nil {
		*c.buf = nil
		c.freeLarge()
	}
	return err
}

// sendAll sends the elements of a list.
func sendAll[M encoded](r *pwp.Request, list func(yield func(M, error) bool)) error {
	c, err := newChunk(r)
	if err != nil {
		return err
	}
	defer c.free()
	for m, err := range list {
		if err == nil {
			err = c.add(m)
		}
		if err == nil && c.full() {
			err = c.flush(nil)
		}
		if err != nil {
			return err
		}
	}
	if c.n == 0 {
		return nil
	}
	return c.flush(nil)
}
