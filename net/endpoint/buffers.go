package endpoint

import (
	"net"
	"os"
)

// WantedBufferBytes is what QUIC wants of the socket's buffers: at 1 Gbit/s they hold 56 ms.
const WantedBufferBytes = 7 << 20

// warnOfBuffers makes the socket's buffers as large as they may be, and says so once if that is too small.
func (e *Endpoint) warnOfBuffers() {
	// quic-go prints a warning of its own to the process's log, and has no other switch for it.
	const quiet = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	if os.Getenv(quiet) == "" {
		_ = os.Setenv(quiet, "true")
	}
	socket, ok := e.socket.(*net.UDPConn)
	if !ok {
		return
	}
	_ = socket.SetReadBuffer(WantedBufferBytes)
	_ = socket.SetWriteBuffer(WantedBufferBytes)
	receive, send, err := bufferSizes(socket)
	if err == nil && min(receive, send) < WantedBufferBytes {
		e.log.Warn("the UDP buffers are small: packets are lost under load",
			"receiveBytes", receive, "sendBytes", send, "wantedBytes", WantedBufferBytes, "fix", BufferFix)
	}
}

// BufferFix is the command that lets a process have the buffers it wants, on Linux.
const BufferFix = "sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000"
