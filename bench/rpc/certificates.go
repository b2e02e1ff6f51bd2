package main

import (
	"crypto/tls"

	"github.com/shieldmaidens/pleiades/net/certs"
)

const benchClient = "bench"

// makeCertificates fills dir with a CA, a node and a client: all systems use them, in both directions.
func makeCertificates(dir string) error {
	if _, err := certs.CreateCA(dir, nil); err != nil {
		return err
	}
	if _, err := certs.CreateNode(dir, &certs.LeafOptions{Name: "server", Hosts: certs.LoopbackHosts()}); err != nil {
		return err
	}
	_, err := certs.CreateClient(dir, &certs.LeafOptions{Name: benchClient})
	return err
}

func serverTLS(dir, proto string) (*tls.Config, error) {
	s, err := certs.Open(dir, certs.NodeLeaf, nil)
	if err != nil {
		return nil, err
	}
	return s.ServerTLS(proto), nil
}

func clientTLS(dir, proto string) (*tls.Config, error) {
	s, err := certs.Open(dir, certs.ClientLeaf(benchClient), nil)
	if err != nil {
		return nil, err
	}
	return s.ClientTLS(proto, certs.Peer{Role: certs.RoleNode}), nil
}
