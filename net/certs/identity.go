package certs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// Role is what the holder of a certificate may be. Zero is no role.
type Role uint8

// The roles. Their names are part of the certificates, their numbers of nothing that is stored.
const (
	// RoleNode serves and dials, on the protocols of clients and of nodes.
	RoleNode Role = 1
	// RoleClient dials, on the protocol of clients only.
	RoleClient Role = 2
	// RoleCA signs, and never takes part in a connection.
	RoleCA Role = 3
)

func (r Role) String() string {
	switch r {
	case RoleNode:
		return "node"
	case RoleClient:
		return "client"
	case RoleCA:
		return "ca"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// maxName is how many bytes a name of a node, client, CA or constellation may have.
const maxName = 63

// scheme begins the URI that holds an identity.
const scheme = "pleiades://"

// Identity is what a certificate says about its holder.
type Identity struct {
	Role Role
	// Name is the node id, the client's name, or the name of the CA; 1 to 63 bytes of a-z, 0-9, '-', '.', '_'.
	Name string
	// Constellation is the name of the constellation; 1 to 63 bytes of a-z, 0-9, '-'.
	Constellation string
	// NotBefore and NotAfter bound the validity, both included.
	NotBefore, NotAfter time.Time
	// Serial is the certificate's serial number in lower-case hexadecimal.
	Serial string
}

// String returns the identity's URI, which is the subject alternative name of its certificate.
func (id Identity) String() string {
	return scheme + id.Constellation + "/" + id.Role.String() + "/" + id.Name
}

// Same reports whether both are the same holder: role, name and constellation. Validity and serial are of no account.
func (id Identity) Same(other Identity) bool {
	return id.Role == other.Role && id.Name == other.Name && id.Constellation == other.Constellation
}

// ParseIdentity reads the URI of an identity. Only the form that Identity.String writes is accepted. The times and the
// serial of the result are zero. The error is an *Error over ErrNotOurs.
func ParseIdentity(uri string) (Identity, error) {
	refuse := func(why string) (Identity, error) {
		return Identity{}, fail(ErrNotOurs, fixRenew, "identity %s: %s", base.Quote([]byte(uri)), why)
	}
	rest, ok := strings.CutPrefix(uri, scheme)
	if !ok {
		return refuse("it does not begin with " + scheme)
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return refuse("it is not " + scheme + "CONSTELLATION/ROLE/NAME")
	}
	id := Identity{Constellation: parts[0], Name: parts[2]}
	for _, r := range []Role{RoleNode, RoleClient, RoleCA} {
		if r.String() == parts[1] {
			id.Role = r
		}
	}
	switch {
	case id.Role == 0:
		return refuse("its role is none of node, client, ca")
	case !validConstellation(id.Constellation):
		return refuse("the constellation's name is no name")
	case !validName(id.Name):
		return refuse("the holder's name is no name")
	}
	return id, nil
}

// IdentityOf reads the identity of a certificate. It checks that the certificate has exactly one URI among its names, in
// the form of Identity.String, and that its uses are those of the role; not who signed it and when it is valid: that is
// what a Source does. The error is an *Error over ErrNotOurs or ErrBadCertificate.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	if len(cert.URIs) != 1 {
		return Identity{}, fail(ErrNotOurs, fixRenew, "%s has %d URIs, not one", base.Quote([]byte(cert.Subject.String())), len(cert.URIs))
	}
	id, err := ParseIdentity(cert.URIs[0].String())
	if err != nil {
		return Identity{}, err
	}
	id.NotBefore, id.NotAfter = cert.NotBefore, cert.NotAfter
	if cert.SerialNumber != nil {
		id.Serial = fmt.Sprintf("%x", cert.SerialNumber)
	}
	if why := misuse(cert, id.Role); why != "" {
		return Identity{}, fail(ErrBadCertificate, fixRenew, "%s %s", id, why)
	}
	return id, nil
}

// misuse says in which way the uses of a certificate are not those of its role; empty when they are.
func misuse(cert *x509.Certificate, role Role) string {
	if role == RoleCA {
		if !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
			return "may not sign certificates"
		}
		return ""
	}
	if cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign != 0 {
		return "may sign certificates, which only a CA may"
	}
	if !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return "is not made for dialling (extended key usage clientAuth)"
	}
	server := slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	switch {
	case role == RoleNode && !server:
		return "is not made for serving (extended key usage serverAuth)"
	case role == RoleClient && server:
		return "is made for serving, which only a node may"
	}
	return ""
}

// validName reports whether s can be the name of a node, client or CA. Capital letters are refused because names become
// file names, and some file systems do not tell them apart.
func validName(s string) bool {
	if s == "" || len(s) > maxName || !lowerOrDigit(s[0]) || !lowerOrDigit(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !lowerOrDigit(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// validConstellation reports whether s can be the name of a constellation: a label of the domain name system.
func validConstellation(s string) bool {
	return validName(s) && !strings.ContainsAny(s, "._")
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// Leaf names the certificate of a node or a client within a directory; it is the stem of its files.
type Leaf string

// NodeLeaf is the node's certificate: node.crt and node.key.
const NodeLeaf Leaf = "node"

// clientPrefix begins the stem of a client's files.
const clientPrefix = "client."

// ClientLeaf is the certificate of the client called name: client.NAME.crt and client.NAME.key.
func ClientLeaf(name string) Leaf { return Leaf(clientPrefix + name) }

// Role returns RoleNode or RoleClient; zero for a leaf that neither NodeLeaf nor ClientLeaf made.
func (l Leaf) Role() Role {
	if l == NodeLeaf {
		return RoleNode
	}
	if name, ok := strings.CutPrefix(string(l), clientPrefix); ok && validName(name) {
		return RoleClient
	}
	return 0
}

// check returns an error when l names no files.
func (l Leaf) check() error {
	if l.Role() == 0 {
		return fail(ErrName, nameFix, "%s is neither a node nor a client", base.Quote([]byte(l)))
	}
	return nil
}

const nameFix = "use 1 to 63 of a-z, 0-9, '-', '.', '_', with a letter or digit at both ends"
