package endpoint

import (
	"net"
	"syscall"
)

// bufferSizes returns the sizes that the kernel granted. Linux counts its own overhead in, and so does WantedBufferBytes.
func bufferSizes(socket *net.UDPConn) (receive, send int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		if receive, optErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF); optErr == nil {
			send, optErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
		}
	})
	if err == nil {
		err = optErr
	}
	return receive, send, err
}
