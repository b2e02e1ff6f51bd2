package certs

import (
	"crypto/tls"
	"testing"
)

const clientProtocol = "pwp/1"

func TestNodesAndClientsMeet(t *testing.T) {
	dir := made(t, "demo")
	node, client := open(t, dir, NodeLeaf, nil), open(t, dir, ClientLeaf("root"), nil)
	server := node.ServerTLS(clientProtocol, NodeProtocol)
	for name, c := range map[string]*tls.Config{
		"client, any node": client.ClientTLS(clientProtocol, Peer{}),
		"client, by host":  client.ClientTLS(clientProtocol, Peer{Host: "127.0.0.1"}),
		"client, by name":  client.ClientTLS(clientProtocol, Peer{Name: "n1"}),
		"node":             node.ClientTLS(NodeProtocol, Peer{Role: RoleNode, Name: "n1", Host: "localhost"}),
		"node as client":   node.ClientTLS(clientProtocol, Peer{}),
	} {
		r := shake(t, server, c)
		if r.server != nil || r.client != nil {
			t.Errorf("%s: server %v, client %v", name, r.server, r.client)
			continue
		}
		if id, err := IdentityOf(r.clientTLS.PeerCertificates[0]); err != nil || id.String() != "pleiades://demo/node/n1" {
			t.Errorf("%s: met %v, %v", name, id, err)
		}
		if r.clientTLS.Version != tls.VersionTLS13 {
			t.Errorf("%s: TLS version %x", name, r.clientTLS.Version)
		}
	}
}

func TestClientOnNodeProtocolIsRefused(t *testing.T) {
	dir := made(t, "demo")
	node, client := open(t, dir, NodeLeaf, nil), open(t, dir, ClientLeaf("root"), nil)
	r := shake(t, node.ServerTLS(clientProtocol, NodeProtocol), client.ClientTLS(NodeProtocol, Peer{}))
	wantError(t, "server", r.server, ErrWrongRole)
	wantError(t, "client", Explain(r.client), ErrRefused)
}
