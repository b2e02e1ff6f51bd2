package node

import (
	"fmt"
	"net"
	"strings"
)

// notify tells systemd, or whoever set NOTIFY_SOCKET, the state of the process (sd_notify(3)): lines such as "READY=1".
// It does nothing when socket is empty.
func notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	if name, ok := strings.CutPrefix(socket, "@"); ok {
		socket = "\x00" + name // the abstract namespace
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("node: notifying the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("node: notifying the service manager: %w", err)
	}
	return nil
}
