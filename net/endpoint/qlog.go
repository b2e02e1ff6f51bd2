package endpoint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
)

// traceTo returns a tracer that writes a qlog file for each connection into dir.
func (e *Endpoint) traceTo(dir string) func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
	return func(_ context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace {
		side := "server"
		if isClient {
			side = "client"
		}
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s_%s.sqlog", id, side)))
		if err != nil {
			e.log.Warn("no qlog of a connection", "error", err)
			return nil
		}
		trace := qlogwriter.NewConnectionFileSeq(&buffered{bufio.NewWriter(f), f}, isClient, id)
		e.wg.Go(trace.Run)
		return trace
	}
}

// buffered is a file that is written in large pieces.
type buffered struct {
	*bufio.Writer
	file io.Closer
}

func (b *buffered) Close() error {
	if err := b.Flush(); err != nil {
		_ = b.file.Close()
		return err
	}
	return b.file.Close()
}
