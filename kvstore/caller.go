package kvstore

import (
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
)

// Role is what kind of peer a caller is. Part of the format of commands; never renumber.
type Role uint8

// The roles.
const (
	// RoleLocal is this process itself, which may do everything.
	RoleLocal Role = 0
	// RoleNode is another node of the constellation, which may do everything.
	RoleNode Role = 1
	// RoleClient is a program with a client certificate: it manages the accounts that it owns or nobody does.
	RoleClient Role = 2
)

func (r Role) String() string {
	switch r {
	case RoleLocal:
		return "local"
	case RoleNode:
		return "node"
	case RoleClient:
		return "client"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// Caller is who asks: what the certificate of the connection says. The zero Caller is the process itself.
type Caller struct {
	// Name is the name in the certificate.
	Name string
	Role Role
}

// maxCallerName bounds Caller.Name, as certificates do.
const maxCallerName = 256

func callerOf(c *kvstorev1.Caller) Caller {
	return Caller{Name: c.GetName(), Role: Role(c.GetRole())}
}

func (c Caller) message() *kvstorev1.Caller {
	return &kvstorev1.Caller{Name: c.Name, Role: uint32(c.Role)}
}

// manages reports whether c may change an account with that owner.
func (c Caller) manages(owner string) bool {
	return c.Role != RoleClient || owner == "" || owner == c.Name
}

func (c Caller) String() string {
	if c == (Caller{}) {
		return "local"
	}
	return fmt.Sprintf("%v %q", c.Role, c.Name)
}
