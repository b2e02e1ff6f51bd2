package endpoint

import (
	"context"
	"errors"
	"slices"

	"github.com/quic-go/quic-go"
)

// safeDatagramBytes fit on every path that QUIC works on: its packets have at least 1,200 bytes.
const safeDatagramBytes = 1100

// tooLarge fits on no path.
var tooLarge [1 << 16]byte

// datagramLimit asks QUIC how much the path carries now.
func (c *Conn) datagramLimit() int {
	if e, ok := errors.AsType[*quic.DatagramTooLargeError](c.qc.SendDatagram(tooLarge[:])); ok {
		return int(e.MaxDatagramPayloadSize)
	}
	return safeDatagramBytes
}

// SendDatagram sends b as one unreliable datagram. It never waits: when Limits.MaxDatagrams are waiting already, b is dropped
// and counted. b is copied. Errors: ErrDatagramDropped; *DatagramSizeError, the limit grows to about 1,400 bytes once the
// path is explored and begins at about 1,200; those of Err.
func (c *Conn) SendDatagram(b []byte) error {
	if len(b) > safeDatagramBytes {
		if limit := c.datagramLimit(); len(b) > limit {
			return &DatagramSizeError{SizeBytes: len(b), LimitBytes: limit}
		}
	}
	queue, err := c.datagramQueue()
	if err != nil {
		return err
	}
	select {
	case queue <- slices.Clone(b):
		return nil
	default:
		c.e.count.datagramsDropped.Add(1)
		return ErrDatagramDropped
	}
}

// datagramQueue returns the queue of datagrams, and starts who sends them.
func (c *Conn) datagramQueue() (chan<- []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.finished {
		<-c.done
		return nil, c.err
	}
	if c.mu.datagrams == nil {
		queue := make(chan []byte, c.e.limits.MaxDatagrams)
		if !c.e.goes(func() { c.sendDatagrams(queue) }) {
			return nil, ErrClosed
		}
		c.mu.datagrams = queue
	}
	return c.mu.datagrams, nil
}

func (c *Conn) sendDatagrams(queue <-chan []byte) {
	defer c.e.wg.Done()
	for {
		select {
		case b := <-queue:
			err := c.qc.SendDatagram(b)
			if _, tooLarge := errors.AsType[*quic.DatagramTooLargeError](err); tooLarge {
				c.e.count.datagramsDropped.Add(1)
			} else if err != nil {
				return
			} else {
				c.e.count.datagramsSent.Add(1)
			}
		case <-c.done:
			return
		}
	}
}

// ReceiveDatagram waits for the next datagram, which belongs to the caller. When nobody receives, 128 are kept and further
// ones are dropped. Errors: those of Err, those of ctx.
func (c *Conn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := c.qc.ReceiveDatagram(ctx)
	if err != nil {
		return nil, reasonOf(err)
	}
	c.e.count.datagramsReceived.Add(1)
	return b, nil
}
