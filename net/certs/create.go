package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

const (
	// DefaultConstellation is the constellation of a CA that is given no other name.
	DefaultConstellation = "pleiades"
	// DefaultClient is the name of the client's certificate that a first node and `pleiades cert create-client` make.
	DefaultClient = "root"

	// DefaultCATTL is how long a CA is valid that is given no other time.
	DefaultCATTL = 10 * 365 * 24 * time.Hour
	// DefaultTTL is how long a leaf is valid that is given no other time.
	DefaultTTL = 365 * 24 * time.Hour
	// MinTTL is the shortest validity that may be asked for.
	MinTTL = time.Minute
	// MaxTTL is the longest validity that may be asked for.
	MaxTTL = 30 * 365 * 24 * time.Hour

	// backdate is how long before now a certificate becomes valid, for peers whose clock is behind.
	backdate = 5 * time.Minute
	// maxHosts bounds how many hosts a node's certificate names.
	maxHosts = 64
)

// CAOptions are the options of CreateCA and RotateCA. Nil is all zero.
type CAOptions struct {
	// Constellation is its name; empty is DefaultConstellation. RotateCA keeps the name and refuses another one.
	Constellation string
	// TTL is how long the CA is valid; 0 is DefaultCATTL; MinTTL to MaxTTL.
	TTL time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// LeafOptions are the options of CreateNode, CreateClient and Rotate. Nil is all zero.
type LeafOptions struct {
	// Name is the node's id or the client's name, 1 to 63 of a-z, 0-9, '-', '.', '_'. Empty: DefaultClient for a client,
	// a random id for a node. Rotate keeps the name and refuses another one.
	Name string
	// Hosts are the host names and IP addresses by which clients reach a node, at most 64. Empty: localhost, 127.0.0.1
	// and ::1; with Rotate those of the old certificate. A client has none.
	Hosts []string
	// TTL is how long the certificate is valid; 0 is DefaultTTL; MinTTL to MaxTTL. It is cut at the end of the CA.
	TTL time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// LoopbackHosts are the hosts of a node that only this machine reaches. The result is the caller's.
func LoopbackHosts() []string { return []string{"localhost", "127.0.0.1", "::1"} }

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}

// ttl fills in the default and checks the bounds.
func ttl(d, otherwise time.Duration) (time.Duration, error) {
	if d == 0 {
		d = otherwise
	}
	if d < MinTTL || d > MaxTTL {
		return 0, fail(ErrOptions, "give a time such as 8760h (a year)", "a validity of %s is not within %s and %s", d, MinTTL, MaxTTL)
	}
	return d, nil
}

// CreateCA makes a certificate authority in dir: ca.crt and ca.key. dir is made, with mode 0700, if it is missing.
// ErrExists when there is one already.
func CreateCA(dir string, o *CAOptions) (Info, error) {
	if o == nil {
		o = &CAOptions{}
	}
	constellation := o.Constellation
	if constellation == "" {
		constellation = DefaultConstellation
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	if path, ok := exists(dir, caStem); ok {
		return Info{}, fail(ErrExists, "use it, or renew it: pleiades cert rotate --ca", "%s", path)
	}
	cert, key, err := newCA(constellation, o)
	if err != nil {
		return Info{}, err
	}
	if err := writePair(dir, caStem, []*x509.Certificate{cert}, key); err != nil {
		return Info{}, err
	}
	return describe(dir, caStem, cert, cert), nil
}

func newCA(constellation string, o *CAOptions) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if !validConstellation(constellation) {
		return nil, nil, fail(ErrName, "use 1 to 63 of a-z, 0-9, '-', with a letter or digit at both ends", "constellation %s", base.Quote([]byte(constellation)))
	}
	valid, err := ttl(o.TTL, DefaultCATTL)
	if err != nil {
		return nil, nil, err
	}
	now := clock(o.Now)
	id := Identity{Role: RoleCA, Constellation: constellation, Name: now.UTC().Format("20060102") + "-" + randomHex(4)}
	template, err := newTemplate(id, now, now.Add(valid))
	if err != nil {
		return nil, nil, err
	}
	template.BasicConstraintsValid, template.IsCA, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	cert, err := sign(template, template, key, key)
	return cert, key, err
}

// CreateNode makes the certificate of a node, signed by the CA of dir: node.crt and node.key. ErrNoCA without one,
// ErrExists when there is a node's certificate already.
func CreateNode(dir string, o *LeafOptions) (Info, error) {
	o = o.copied()
	if o.Name == "" {
		o.Name = "n-" + randomHex(4)
	}
	if len(o.Hosts) == 0 {
		o.Hosts = LoopbackHosts()
	}
	return createLeaf(dir, NodeLeaf, o)
}

// CreateClient makes the certificate of a client, signed by the CA of dir: client.NAME.crt and client.NAME.key. ErrNoCA
// without one, ErrExists when the client has a certificate already.
func CreateClient(dir string, o *LeafOptions) (Info, error) {
	o = o.copied()
	if o.Name == "" {
		o.Name = DefaultClient
	}
	return createLeaf(dir, ClientLeaf(o.Name), o)
}

func (o *LeafOptions) copied() *LeafOptions {
	if o == nil {
		return &LeafOptions{}
	}
	c := *o
	c.Hosts = slices.Clone(o.Hosts)
	return &c
}

func createLeaf(dir string, leaf Leaf, o *LeafOptions) (Info, error) {
	if err := leaf.check(); err != nil {
		return Info{}, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	if path, ok := exists(dir, string(leaf)); ok {
		return Info{}, fail(ErrExists, "use it, or renew it: pleiades cert rotate", "%s", path)
	}
	return issue(dir, leaf, o)
}

// issue signs and writes a new leaf. The directory is locked.
func issue(dir string, leaf Leaf, o *LeafOptions) (Info, error) {
	if err := finishRotation(dir, caStem); err != nil {
		return Info{}, err
	}
	ca, caKey, err := readPair(dir, caStem, ErrNoCA)
	if err != nil {
		return Info{}, err
	}
	caID, err := IdentityOf(ca)
	if err != nil {
		return Info{}, err
	}
	now := clock(o.Now)
	if err := expiry(ca, caID.String(), now); err != nil {
		return Info{}, err
	}
	valid, err := ttl(o.TTL, DefaultTTL)
	if err != nil {
		return Info{}, err
	}
	end := now.Add(valid)
	if end.After(ca.NotAfter) {
		end = ca.NotAfter
	}
	template, err := leafTemplate(Identity{Role: leaf.Role(), Name: o.Name, Constellation: caID.Constellation}, o.Hosts, now, end)
	if err != nil {
		return Info{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Info{}, err
	}
	cert, err := sign(template, ca, key, caKey)
	if err != nil {
		return Info{}, err
	}
	if err := writePair(dir, string(leaf), []*x509.Certificate{cert}, key); err != nil {
		return Info{}, err
	}
	return describe(dir, string(leaf), cert, ca), nil
}

func leafTemplate(id Identity, hosts []string, now, end time.Time) (*x509.Certificate, error) {
	template, err := newTemplate(id, now, end)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if id.Role == RoleClient {
		if len(hosts) > 0 {
			return nil, fail(ErrOptions, "leave the hosts out: a client is not dialled", "hosts for client %s", id.Name)
		}
		return template, nil
	}
	template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	if len(hosts) > maxHosts {
		return nil, fail(ErrOptions, "name the hosts that clients use", "%d hosts, more than %d", len(hosts), maxHosts)
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil && ip.Zone() == "" {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.Unmap().AsSlice()))
		} else if validHost(h) {
			template.DNSNames = append(template.DNSNames, strings.ToLower(h))
		} else {
			return nil, fail(ErrName, "give a host name or an IP address, without a port", "host %s", base.Quote([]byte(h)))
		}
	}
	return template, nil
}

// validHost reports whether h is a name of the domain name system; the first label may be a star.
func validHost(h string) bool {
	h = strings.TrimPrefix(strings.ToLower(h), "*.")
	if h == "" || len(h) > 253 {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if !validConstellation(label) {
			return false
		}
	}
	return true
}

func newTemplate(id Identity, now, end time.Time) (*x509.Certificate, error) {
	if !validName(id.Name) {
		return nil, fail(ErrName, nameFix, "%s %s", id.Role, base.Quote([]byte(id.Name)))
	}
	uri, err := url.Parse(id.String())
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), // never zero
		Subject:      pkix.Name{Organization: []string{"Pleiades " + id.Constellation}, CommonName: id.Role.String() + " " + id.Name},
		URIs:         []*url.URL{uri},
		NotBefore:    now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter:     end.UTC().Truncate(time.Second),
	}, nil
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
