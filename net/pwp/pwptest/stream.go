package pwptest

import (
	"io"
	"sync"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Stream is one end of a stream. It implements pwp.Stream.
type Stream struct {
	id      wire.StreamID
	conn    *Conn
	in, out *half
	show    func() // of the opening end
	shown   sync.Once

	accepted bool // of the accepting end; guarded by shared.mu
}

var (
	_ pwp.Stream    = (*Stream)(nil)
	_ pwp.TryWriter = (*Stream)(nil)
)

// begin lets the peer see the stream.
func (s *Stream) begin() {
	if s.show != nil {
		s.shown.Do(s.show)
	}
}

// ID implements pwp.Stream.
func (s *Stream) ID() wire.StreamID { return s.id }

// Read implements pwp.Stream.
func (s *Stream) Read(p []byte) (int, error) { return s.in.read(p) }

// Write implements pwp.Stream.
func (s *Stream) Write(p []byte) (int, error) {
	s.begin()
	return s.out.write(p)
}

// TryWrite implements pwp.TryWriter.
func (s *Stream) TryWrite(p []byte) error {
	s.begin()
	s.out.mu.Lock()
	room := s.out.opts.WindowBytes - s.out.pending()
	s.out.mu.Unlock()
	if room < len(p) {
		return pwp.ErrWouldBlock
	}
	_, err := s.out.write(p) // the only writer: the room stays
	return err
}

// CloseWrite implements pwp.Stream.
func (s *Stream) CloseWrite() error {
	s.begin()
	return s.out.finish()
}

// CancelRead implements pwp.Stream.
func (s *Stream) CancelRead(code wire.CloseCode) { s.in.cancel(code) }

// Reset implements pwp.Stream.
func (s *Stream) Reset(code wire.CloseCode) {
	s.begin()
	s.out.reset(code)
}

// half is one direction of a stream.
type half struct {
	opts Options
	done func() // called, without the lock, when the half may have become done

	mu        sync.Mutex
	changed   sync.Cond
	buf       []byte // written and not read
	read0     int    // buf[:read0] is read
	finished  bool   // by the writer
	ended     bool   // the reader saw the end
	cut       *pwp.StreamError
	cutWriter bool // the writer did it
	stalled   bool
}

func newHalf(opts Options) *half {
	h := &half{opts: opts}
	h.changed.L = &h.mu
	return h
}

func (h *half) pending() int { return len(h.buf) - h.read0 }

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	for {
		switch {
		case h.cut != nil:
			err := &pwp.StreamError{Code: h.cut.Code, Remote: h.cutWriter}
			h.mu.Unlock()
			return 0, err
		case h.stalled:
		case h.pending() > 0:
			if h.opts.ReadBytes > 0 && len(p) > h.opts.ReadBytes {
				p = p[:h.opts.ReadBytes]
			}
			n := copy(p, h.buf[h.read0:])
			full := h.pending() >= h.opts.WindowBytes
			h.read0 += n
			if h.pending() == 0 {
				h.buf, h.read0 = h.buf[:0], 0
				if cap(h.buf) > 64<<10 {
					h.buf = nil
				}
			}
			if full {
				h.changed.Broadcast()
			}
			h.mu.Unlock()
			return n, nil
		case h.finished:
			h.ended = true
			h.mu.Unlock()
			h.done()
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	written := 0
	for {
		if h.cut != nil || h.finished {
			code := wire.CloseInternal // a write behind the end is a fault of the caller
			if h.cut != nil {
				code = h.cut.Code
			}
			return written, &pwp.StreamError{Code: code, Remote: h.cut != nil && !h.cutWriter}
		}
		if len(p) == 0 {
			return written, nil
		}
		if room := h.opts.WindowBytes - h.pending(); room > 0 {
			n := min(room, len(p))
			if h.read0 > 0 && len(h.buf)+n > cap(h.buf) {
				h.buf = h.buf[:copy(h.buf, h.buf[h.read0:])]
				h.read0 = 0
			}
			h.buf = append(h.buf, p[:n]...)
			p, written = p[n:], written+n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

func (h *half) finish() error {
	h.mu.Lock()
	if h.cut != nil {
		err := &pwp.StreamError{Code: h.cut.Code, Remote: !h.cutWriter}
		h.mu.Unlock()
		return err
	}
	h.finished = true
	h.changed.Broadcast()
	h.mu.Unlock()
	h.done()
	return nil
}

// reset is the writer's; what is not read is lost.
func (h *half) reset(code wire.CloseCode) { h.cutOff(code, true) }

// cancel is the reader's.
func (h *half) cancel(code wire.CloseCode) { h.cutOff(code, false) }

func (h *half) cutOff(code wire.CloseCode, byWriter bool) {
	h.mu.Lock()
	// The end that was read stays one; a half that is finished cannot be reset any more, only given up.
	if h.cut == nil && !h.ended && !(byWriter && h.finished) {
		h.cut, h.cutWriter, h.buf, h.read0 = &pwp.StreamError{Code: code}, byWriter, nil, 0
		h.changed.Broadcast()
	}
	h.mu.Unlock()
	h.done()
}

func (h *half) stall(stalled bool) {
	h.mu.Lock()
	h.stalled = stalled
	h.changed.Broadcast()
	h.mu.Unlock()
}

// isDone reports whether the half needs nothing from either side any more.
func (h *half) isDone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended || h.cut != nil
}
