package endpoint

import (
	"errors"
	"io"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// stream is a QUIC stream as package pwp wants it.
type stream struct{ s *quic.Stream }

var (
	_ pwp.Stream    = (*stream)(nil)
	_ pwp.TryWriter = (*stream)(nil)
)

func (s *stream) ID() wire.StreamID { return wire.StreamID(s.s.StreamID()) }

// Read implements pwp.Stream. QUIC returns the last bytes together with io.EOF; pwp takes bytes first.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.s.Read(p)
	if err != nil && err != io.EOF {
		err = streamError(err)
	}
	return n, err
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.s.Write(p)
	if err != nil {
		err = streamError(err)
	}
	return n, err
}

// TryWrite implements pwp.TryWriter.
func (s *stream) TryWrite(p []byte) error {
	err := s.s.TryWriteAll(p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, quic.ErrWouldBlock):
		return pwp.ErrWouldBlock
	}
	return streamError(err)
}

func (s *stream) CloseWrite() error {
	if err := s.s.Close(); err != nil {
		return streamError(err)
	}
	return nil
}

func (s *stream) CancelRead(code wire.CloseCode) { s.s.CancelRead(quic.StreamErrorCode(code)) }

func (s *stream) Reset(code wire.CloseCode) { s.s.CancelWrite(quic.StreamErrorCode(code)) }
