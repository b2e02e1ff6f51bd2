package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// The sentinels of this package. They arrive inside an *Error that names the file or the peer and the way out.
var (
	// ErrNoCA says that a directory has no ca.crt, or no ca.key where a certificate is to be signed.
	ErrNoCA = base.New(base.ErrNotFound, "certs: no certificate authority")
	// ErrNoCertificate says that a certificate or its key is missing, or that a peer showed none.
	ErrNoCertificate = base.New(base.ErrNotFound, "certs: no certificate")
	// ErrExists says that a certificate to be made is there already.
	ErrExists = base.New(base.ErrExists, "certs: the certificate exists")
	// ErrBadCertificate says that a file does not hold what it should, or that a certificate breaks a rule.
	ErrBadCertificate = base.New(base.ErrInvalid, "certs: unusable certificate")
	// ErrKeyMismatch says that a certificate and the key beside it do not belong together.
	ErrKeyMismatch = base.New(base.ErrInvalid, "certs: certificate and key do not belong together")
	// ErrKeyMode says that a private key can be read by others than its owner.
	ErrKeyMode = base.New(base.ErrPermission, "certs: the private key is open to others")
	// ErrNotOurs says that a certificate carries no identity of a constellation.
	ErrNotOurs = base.New(base.ErrPermission, "certs: not a certificate of a constellation")
	// ErrUnknownCA says that no CA in ca.crt signed a certificate.
	ErrUnknownCA = base.New(base.ErrPermission, "certs: signed by an unknown certificate authority")
	// ErrExpired says that a certificate has run out.
	ErrExpired = base.New(base.ErrPermission, "certs: the certificate has expired")
	// ErrNotYetValid says that a certificate is not valid yet; often a clock is wrong.
	ErrNotYetValid = base.New(base.ErrPermission, "certs: the certificate is not valid yet")
	// ErrWrongRole says that a peer's role may not do this: a client on the protocol of nodes.
	ErrWrongRole = base.New(base.ErrPermission, "certs: wrong role")
	// ErrWrongConstellation says that a certificate belongs to another constellation.
	ErrWrongConstellation = base.New(base.ErrPermission, "certs: wrong constellation")
	// ErrWrongName says that a peer is another node than the expected one, or not reached by a host of its certificate.
	ErrWrongName = base.New(base.ErrPermission, "certs: wrong name")
	// ErrIdentityChanged says that reloaded files stand for somebody else than the running process.
	ErrIdentityChanged = base.New(base.ErrInvalid, "certs: the identity has changed")
	// ErrInUse says that a CA still has certificates that it signed.
	ErrInUse = base.New(base.ErrConflict, "certs: the certificate authority is still in use")
	// ErrName says that a name or host cannot stand in a certificate.
	ErrName = base.New(base.ErrInvalid, "certs: invalid name")
	// ErrOptions says that options hold values that cannot be used; all of them are named.
	ErrOptions = base.New(base.ErrInvalid, "certs: invalid options")
	// ErrRefused says that the peer ended the handshake over our certificate.
	ErrRefused = base.New(base.ErrPermission, "certs: the peer refused our certificate")
	// ErrClosed says that the Source was closed.
	ErrClosed = base.New(base.ErrClosed, "certs: closed")
)

// Error is what the functions of this package return: a sentinel with its operands and the way out.
type Error struct {
	// Kind is one of this package's sentinels.
	Kind error
	// Detail names the file, the peer or the value.
	Detail string
	// Fix is what to do about it, a command where there is one. Never empty.
	Fix string
	// Cause is the error of a layer below; nil for none.
	Cause error
}

// Text returns the message without the way out.
func (e *Error) Text() string {
	text := e.Kind.Error() + ": " + e.Detail
	var ours *Error
	switch {
	case e.Cause == nil:
	case errors.As(e.Cause, &ours):
		text += ": " + ours.Text() // its way out is not that of the whole
	default:
		text += ": " + e.Cause.Error()
	}
	return text
}

// Error returns the message, the way out behind "; fix: ".
func (e *Error) Error() string { return e.Text() + "; fix: " + e.Fix }

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

func fail(kind error, fix, format string, args ...any) *Error {
	return &Error{Kind: kind, Fix: fix, Detail: fmt.Sprintf(format, args...)}
}

func failBy(kind, cause error, fix, format string, args ...any) *Error {
	e := fail(kind, fix, format, args...)
	e.Cause = cause
	return e
}

const (
	fixClock = "compare the clocks of both machines; set the wrong one right"
	fixRenew = "make a new one where ca.key is: pleiades cert rotate"
	fixTrust = "both sides need the CA that signed the other's certificate in ca.crt: compare pleiades cert show on both"
)

// expiry says in which way cert is not valid at now; nil when it is.
func expiry(cert *x509.Certificate, what string, now time.Time) error {
	const layout = time.RFC3339
	switch {
	case now.Before(cert.NotBefore):
		return fail(ErrNotYetValid, fixClock, "%s is valid from %s, and here it is %s", what, cert.NotBefore.Format(layout), now.UTC().Format(layout))
	case now.After(cert.NotAfter):
		return fail(ErrExpired, fixRenew, "%s was valid until %s, and here it is %s", what, cert.NotAfter.Format(layout), now.UTC().Format(layout))
	}
	return nil
}

// Explain turns what a failed handshake left behind into an error of this package: the reason why this side refused the
// peer, or ErrRefused for the alert by which the peer refused this side. err is returned as it is when it says nothing
// about certificates, or says it in the words of this package already. quic-go wraps the errors of this side; the alert
// of the other is the low byte of its crypto error codes: hand it to ExplainAlert.
func Explain(err error) error {
	var ours *Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	var remote *net.OpError // how TLS over TCP says that an alert came in; over QUIC it is an error of the connection
	if errors.As(err, &remote) && remote.Op == "remote error" {
		for alert := range alerts {
			if remote.Err.Error() == tls.AlertError(alert).Error() {
				return ExplainAlert(alert)
			}
		}
		return err
	}
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) {
		return err
	}
	what := "the peer's certificate"
	if len(verification.UnverifiedCertificates) > 0 {
		what = claim(verification.UnverifiedCertificates[0])
	}
	return chainError(what, verification.Err, time.Time{})
}

// alerts are the TLS alerts about certificates (RFC 8446, section 6.2), with what to do.
var alerts = map[uint8]struct{ name, fix string }{
	42:  {"bad certificate", "the peer's log names the reason: role, name or constellation"},
	43:  {"unsupported certificate", "the peer's log names the reason"},
	45:  {"certificate expired", fixRenew + "; or " + fixClock},
	46:  {"certificate unknown", "the peer's log names the reason"},
	48:  {"unknown certificate authority", fixTrust},
	116: {"certificate required", "give a directory with a certificate: --certs-dir DIR"},
}

// ExplainAlert returns the meaning of a TLS alert that the peer ended the handshake with, an *Error over ErrRefused; nil
// when the alert is not about certificates.
func ExplainAlert(alert uint8) error {
	if a, ok := alerts[alert]; ok {
		return fail(ErrRefused, a.fix, "the peer closed the handshake with alert %d (%s)", alert, a.name)
	}
	return nil
}

// chainError puts an error of x509.Certificate.Verify into the words of this package. A zero now is the error's own time.
func chainError(what string, err error, now time.Time) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return failBy(ErrUnknownCA, err, fixTrust, "%s", what)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if now.IsZero() {
			now = time.Now()
		}
		if e := expiry(invalid.Cert, "the certificate of "+claim(invalid.Cert), now); e != nil {
			return e
		}
		return failBy(ErrExpired, err, fixRenew, "%s", what)
	}
	return failBy(ErrBadCertificate, err, fixRenew, "%s", what)
}

// claim says for whom an unverified certificate was made out.
func claim(cert *x509.Certificate) string {
	if id, err := IdentityOf(cert); err == nil {
		return "the holder of " + id.String()
	}
	return "a stranger (" + base.Quote([]byte(cert.Subject.String())) + ")"
}
