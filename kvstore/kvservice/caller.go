package kvservice

import (
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/net/certs"
)

// callerFrom is the caller that a certificate names. Connections end at nodes and clients only.
func callerFrom(id certs.Identity) kvstore.Caller {
	role := kvstore.RoleClient
	if id.Role == certs.RoleNode {
		role = kvstore.RoleNode
	}
	return kvstore.Caller{Name: id.Name, Role: role}
}
