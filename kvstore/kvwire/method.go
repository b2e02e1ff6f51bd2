package kvwire

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// The types of requests; part of the format, never renumber. The response of a request has the type behind it.
const (
	Get           wire.MessageType = 0x01
	Put           wire.MessageType = 0x03
	Delete        wire.MessageType = 0x05
	Purge         wire.MessageType = 0x07
	SetVacuumable wire.MessageType = 0x09
	Batch         wire.MessageType = 0x0b
	Describe      wire.MessageType = 0x0d
	History       wire.MessageType = 0x0f
	Scan          wire.MessageType = 0x11
	CreateAccount wire.MessageType = 0x21
	GetAccount    wire.MessageType = 0x23
	ListAccounts  wire.MessageType = 0x25
	UpdateAccount wire.MessageType = 0x27
	DeleteAccount wire.MessageType = 0x29
	CreateBucket  wire.MessageType = 0x31
	GetBucket     wire.MessageType = 0x33
	ListBuckets   wire.MessageType = 0x35
	UpdateBucket  wire.MessageType = 0x37
	DeleteBucket  wire.MessageType = 0x39
	OpenSession   wire.MessageType = 0x41
	CloseSession  wire.MessageType = 0x43
	Vacuum        wire.MessageType = 0x51
)

// method says what kind of request a type is.
type method struct {
	name string
	// many: the answer is a stream.
	many bool
	// reads: it changes nothing, so that it may be run from early data, and again.
	reads bool
}

var methods = map[wire.MessageType]method{
	Get:           {name: "get", reads: true},
	Put:           {name: "put"},
	Delete:        {name: "delete"},
	Purge:         {name: "purge"},
	SetVacuumable: {name: "set-vacuumable"},
	Batch:         {name: "batch"},
	Describe:      {name: "describe", reads: true},
	History:       {name: "history", many: true, reads: true},
	Scan:          {name: "scan", many: true, reads: true},
	CreateAccount: {name: "create-account"},
	GetAccount:    {name: "get-account", reads: true},
	ListAccounts:  {name: "list-accounts", many: true, reads: true},
	UpdateAccount: {name: "update-account"},
	DeleteAccount: {name: "delete-account", many: true},
	CreateBucket:  {name: "create-bucket"},
	GetBucket:     {name: "get-bucket", reads: true},
	ListBuckets:   {name: "list-buckets", many: true, reads: true},
	UpdateBucket:  {name: "update-bucket"},
	DeleteBucket:  {name: "delete-bucket", many: true},
	OpenSession:   {name: "open-session"},
	CloseSession:  {name: "close-session"},
	Vacuum:        {name: "vacuum", many: true},
}

// Response returns the type of the response to a request of type t.
func Response(t wire.MessageType) wire.MessageType { return t + 1 }

// Known reports whether t is the type of a request of this service.
func Known(t wire.MessageType) bool {
	_, ok := methods[t]
	return ok
}

// Streams reports whether a request of type t is answered by any number of responses.
func Streams(t wire.MessageType) bool { return methods[t].many }

// ReadOnly reports whether a request of type t changes nothing: it may be run from early data, and sent again.
func ReadOnly(t wire.MessageType) bool { return methods[t].reads }

// Name returns the name of a request for logs and metrics, "type 0x63" for an unknown one.
func Name(t wire.MessageType) string {
	if m, ok := methods[t]; ok {
		return m.name
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// DefaultBucket is the bucket that the id 0 of a request stands for. It always exists, under the name DefaultName in the
// account of the same name.
const DefaultBucket keys.BucketID = 1

// DefaultName is the name of the account and of the bucket that always exist.
const DefaultName = "default"
