package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"
)

// maxVerified bounds how many certificates are remembered as verified.
const maxVerified = 4096

// credentials are the certificates of a directory. But for what it remembers, it is never changed.
type credentials struct {
	cert tls.Certificate // its Leaf is set
	id   Identity
	cas  []*x509.Certificate
	pool *x509.CertPool

	mu struct {
		sync.Mutex
		// verified holds, by their SHA-256, certificates that one of cas signed. Verifying a signature costs as much as
		// the rest of a resumption. Forgotten as a whole when it is full, and with the credentials.
		verified map[[sha256.Size]byte]verified
	}
}

// verified is what does not change about a certificate as long as the CAs are the same.
type verified struct {
	id Identity
	// from and until bound when the whole chain is valid.
	from, until time.Time
}

// verify checks that a trusted CA signed cert, that both are valid at now, and returns whom it stands for. What cert may
// be used for is what IdentityOf checks. what names cert in errors; empty is whom it claims to be.
func (c *credentials) verify(cert *x509.Certificate, what string, now time.Time) (Identity, error) {
	sum := sha256.Sum256(cert.Raw)
	c.mu.Lock()
	v, ok := c.mu.verified[sum]
	c.mu.Unlock()
	if ok && !now.Before(v.from) && !now.After(v.until) {
		return v.id, nil
	}
	if what == "" {
		what = claim(cert)
	}
	if err := expiry(cert, what, now); err != nil {
		return Identity{}, err
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots:         c.pool,
		Intermediates: x509.NewCertPool(), // a CA signs leaves directly
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return Identity{}, chainError(what, err, now)
	}
	if v.id, err = IdentityOf(cert); err != nil {
		return Identity{}, err
	}
	v.from, v.until = cert.NotBefore, cert.NotAfter
	for _, ca := range chains[0] {
		if ca.NotBefore.After(v.from) {
			v.from = ca.NotBefore
		}
		if ca.NotAfter.Before(v.until) {
			v.until = ca.NotAfter
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.verified == nil || len(c.mu.verified) >= maxVerified {
		c.mu.verified = make(map[[sha256.Size]byte]verified)
	}
	c.mu.verified[sum] = v
	return v.id, nil
}

// peer verifies the certificate of a peer and returns whom it stands for.
func (c *credentials) peer(cert *x509.Certificate, now time.Time) (Identity, error) {
	id, err := c.verify(cert, "", now)
	if err != nil {
		return Identity{}, err
	}
	if id.Constellation != c.id.Constellation {
		return Identity{}, fail(ErrWrongConstellation, "check the address: every constellation has its own nodes and CA",
			"the peer is %s, and this side is %s", id, c.id)
	}
	return id, nil
}
