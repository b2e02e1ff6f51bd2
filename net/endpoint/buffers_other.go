//go:build !linux

package endpoint

import (
	"errors"
	"net"
)

// bufferSizes is not known here.
func bufferSizes(*net.UDPConn) (receive, send int, err error) { return 0, 0, errors.ErrUnsupported }
