package system

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// The types of requests; part of the format, never renumber. The response of a request has the type behind it.
const (
	Health   wire.MessageType = 0x01
	Node     wire.MessageType = 0x03
	Settings wire.MessageType = 0x05
	Limits   wire.MessageType = 0x07
	// Contexts is answered by a stream.
	Contexts wire.MessageType = 0x09
	Metrics  wire.MessageType = 0x0b
)

var names = map[wire.MessageType]string{
	Health: "health", Node: "node", Settings: "settings", Limits: "limits", Contexts: "contexts", Metrics: "metrics",
}

// Response returns the type of the response to a request of type t.
func Response(t wire.MessageType) wire.MessageType { return t + 1 }

// Known reports whether t is the type of a request of this service. All of them only read.
func Known(t wire.MessageType) bool {
	_, ok := names[t]
	return ok
}

// Name returns the name of a request for logs and metrics, "type 0x63" for an unknown one.
func Name(t wire.MessageType) string {
	if name, ok := names[t]; ok {
		return name
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}
