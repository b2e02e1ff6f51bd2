package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"

	"github.com/shieldmaidens/pleiades/base"
)

// NodeProtocol is the ALPN name of connections between nodes. Clients are refused on it, and its connections are never
// resumed.
const NodeProtocol = "pwp-node/1"

// Peer is whom a dialler expects to meet. The zero Peer is any node of the constellation.
type Peer struct {
	// Role is the role the peer must have; 0 is RoleNode, the only one that serves.
	Role Role
	// Name is the node id that the peer must have; empty for any.
	Name string
	// Host is the host name or address that was dialled, without a port: the certificate must name it. Empty: it is not
	// looked at, because Name says more, or because any node will do.
	Host string
}

// ServerTLS returns the configuration of a listener for the given ALPN protocols: TLS 1.3 only, with a client certificate
// that a trusted CA signed. Certificates, CAs and ticket keys are those of the moment of each handshake. The fields
// KeyLogWriter and CurvePreferences of the result may be set before its first use.
//
// A handshake with a refused peer fails with an *Error, or with what Explain turns into one: ErrUnknownCA, ErrExpired,
// ErrNotYetValid, ErrNotOurs, ErrBadCertificate, ErrWrongConstellation, ErrWrongRole, ErrNoCertificate, ErrClosed.
func (s *Source) ServerTLS(nextProtos ...string) *tls.Config {
	c := &serverConfigs{src: s}
	c.base = &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: slices.Clone(nextProtos),
		ClientAuth: tls.RequireAndVerifyClientCert,
		Time:       s.now,
		// Never used without GetConfigForClient: nobody is trusted and there is no certificate.
		ClientCAs:          x509.NewCertPool(),
		GetConfigForClient: c.forClient,
	}
	return c.base
}

// serverConfigs makes the configurations of a listener's connections; they are the same until something changes.
type serverConfigs struct {
	src  *Source
	base *tls.Config
	made atomic.Pointer[madeConfigs]
}

// madeConfigs are the configurations of one moment, for the two kinds of connections.
type madeConfigs struct {
	of           *live
	client, node *tls.Config
}

func (c *serverConfigs) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	l := c.src.current()
	if l == nil {
		return nil, c.src.closed()
	}
	m := c.made.Load()
	if m == nil || m.of != l {
		m = c.make(l)
		c.made.Store(m)
	}
	if slices.Contains(hello.SupportedProtos, NodeProtocol) {
		return m.node, nil
	}
	return m.client, nil
}

func (c *serverConfigs) make(l *live) *madeConfigs {
	client := c.base.Clone()
	client.GetConfigForClient = nil
	client.Certificates = []tls.Certificate{l.creds.cert}
	client.ClientCAs = l.creds.pool
	client.VerifyConnection = c.src.verifyClient
	client.SetSessionTicketKeys(l.tickets.keys)
	node := client.Clone()
	node.SessionTicketsDisabled = true
	return &madeConfigs{of: l, client: client, node: node}
}

// verifyClient decides whether a peer that dialled is let in. It also runs on resumption, when nobody else has looked at
// the peer's certificate.
func (s *Source) verifyClient(cs tls.ConnectionState) error {
	l := s.live.Load()
	if l == nil {
		return s.closed()
	}
	if len(cs.PeerCertificates) == 0 {
		return fail(ErrNoCertificate, "give it a directory with a certificate: --certs-dir DIR", "the peer showed none")
	}
	id, err := l.creds.peer(cs.PeerCertificates[0], s.now())
	if err != nil {
		return err
	}
	switch {
	case id.Role == RoleNode, id.Role == RoleClient && cs.NegotiatedProtocol != NodeProtocol:
		return nil
	}
	return fail(ErrWrongRole, "clients dial nodes with the protocol of clients", "%s dialled with protocol %s", id, base.Quote([]byte(cs.NegotiatedProtocol)))
}

// ClientTLS returns the configuration of connections that are dialled to want with one ALPN protocol: TLS 1.3 only, with
// this side's certificate, and with the peer's chain, role, constellation, name and host checked when a session is resumed
// as well. It may be used for many connections and follows Reload. The caller may set ClientSessionCache (not for
// NodeProtocol), KeyLogWriter and ServerName; the last is sent to the peer, scopes the session cache and decides nothing.
//
// A dial to a refused peer fails with an *Error: ErrUnknownCA, ErrExpired, ErrNotYetValid, ErrNotOurs, ErrBadCertificate,
// ErrWrongConstellation, ErrWrongRole, ErrWrongName, ErrClosed; ErrExpired also when this side's certificate has run out. With
// TLS 1.3 the refusal of this side by the peer arrives after the dial, as an alert on the first read: see Explain.
func (s *Source) ClientTLS(nextProto string, want Peer) *tls.Config {
	if want.Role == 0 {
		want.Role = RoleNode
	}
	name := want.Host
	if name == "" {
		name = want.Name
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{nextProto},
		ServerName: name,
		Time:       s.now,
		// What TLS would verify by itself (one host, CAs of the moment of dialling) is not what is wanted: all of it is
		// verified in VerifyConnection, which TLS calls for full handshakes and resumed ones alike.
		InsecureSkipVerify:     true,
		VerifyConnection:       func(cs tls.ConnectionState) error { return s.verifyServer(cs, want) },
		GetClientCertificate:   s.clientCertificate,
		SessionTicketsDisabled: nextProto == NodeProtocol,
	}
}

func (s *Source) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	l := s.live.Load()
	if l == nil {
		return nil, s.closed()
	}
	if err := expiry(l.creds.cert.Leaf, "the own certificate, "+l.creds.id.String()+",", s.now()); err != nil {
		return nil, err
	}
	return &l.creds.cert, nil
}

func (s *Source) verifyServer(cs tls.ConnectionState, want Peer) error {
	if len(cs.PeerCertificates) == 0 {
		return fail(ErrNoCertificate, "check the address", "the peer showed none")
	}
	_, err := s.VerifyPeer(cs.PeerCertificates[0], want)
	return err
}

// VerifyPeer checks a peer's certificate against what is trusted now: its chain, validity, constellation, role, and the
// name and host of want where given. Who keeps connections open calls it after a CA was removed, with the certificate of
// the connection's TLS state. want.Role is the role that the peer must have, 0 for node.
func (s *Source) VerifyPeer(cert *x509.Certificate, want Peer) (Identity, error) {
	l := s.live.Load()
	if l == nil {
		return Identity{}, s.closed()
	}
	if want.Role == 0 {
		want.Role = RoleNode
	}
	id, err := l.creds.peer(cert, s.now())
	if err != nil {
		return Identity{}, err
	}
	const fixAddress = "check the address, or make the certificate anew with its hosts: pleiades cert rotate --node --san HOST"
	switch {
	case id.Role != want.Role:
		return Identity{}, fail(ErrWrongRole, "check the address", "the peer is %s, not a %s", id, want.Role)
	case want.Name != "" && id.Name != want.Name:
		return Identity{}, fail(ErrWrongName, fixAddress, "the peer is %s, not %s", id, base.Quote([]byte(want.Name)))
	}
	if want.Host != "" {
		if err := cert.VerifyHostname(want.Host); err != nil {
			return Identity{}, failBy(ErrWrongName, err, fixAddress, "%s was dialled as %s", id, base.Quote([]byte(want.Host)))
		}
	}
	return id, nil
}
