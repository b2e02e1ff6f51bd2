package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

var (
	// ErrOptions says that options hold values that cannot be used; all of them are named.
	ErrOptions = base.New(base.ErrInvalid, "endpoint: invalid options")
	// ErrListen says that the UDP socket could not be opened. The way out: another address, or end who holds it.
	ErrListen = base.New(base.ErrUnavailable, "endpoint: no UDP socket")
	// ErrClosed says that the endpoint was closed by this side.
	ErrClosed = base.New(base.ErrClosed, "endpoint: closed")
	// ErrNotListening says that Accept was called on an endpoint that only dials. The way out: Options.Listen.
	ErrNotListening = base.New(base.ErrInvalid, "endpoint: this endpoint only dials")
	// ErrAddress says that an address is not host:port, or its host has no address that this socket can reach.
	ErrAddress = base.New(base.ErrInvalid, "endpoint: no such address")
	// ErrUnreachable says that the peer did not answer in time: it is down, or something between drops UDP. Trying again
	// may help.
	ErrUnreachable = base.New(base.ErrUnavailable, "endpoint: the peer does not answer")
	// ErrGone says that a live connection heard nothing from its peer for Limits.IdleTimeout.
	ErrGone = base.New(base.ErrUnavailable, "endpoint: the peer went silent")
	// ErrRestarted says that the peer does not know the connection: it was restarted. Dial again.
	ErrRestarted = base.New(base.ErrUnavailable, "endpoint: the peer was restarted")
	// ErrRefused says that the peer has no room for the connection, or does not listen. Try again later.
	ErrRefused = base.New(base.ErrOverloaded, "endpoint: the peer refused the connection")
	// ErrPeerCertificate says that this side does not accept the peer's certificate, or the peer showed none. What package
	// certs found is wrapped.
	ErrPeerCertificate = base.New(base.ErrPermission, "endpoint: the peer's certificate was not accepted")
	// ErrOwnCertificate says that the peer does not accept this side's certificate: another CA, expired, or not of the role
	// that the ALPN needs. The way out: `pleiades cert list`.
	ErrOwnCertificate = base.New(base.ErrPermission, "endpoint: the peer does not accept this side's certificate")
	// ErrALPN says that the two sides have no protocol in common: the peer is no Pleiades node, or a newer one.
	ErrALPN = base.New(base.ErrVersion, "endpoint: no common protocol")
	// ErrTransport says that QUIC itself failed: a peer that breaks its rules, or a fault of the socket.
	ErrTransport = base.New(base.ErrUnavailable, "endpoint: the transport failed")
	// ErrUntrusted says that a connection was closed because its peer's certificate is not trusted any more.
	ErrUntrusted = base.New(base.ErrPermission, "endpoint: the peer is not trusted any more")
	// ErrPeerClosed says that the peer closed the connection; *CloseError has its code and reason.
	ErrPeerClosed = base.New(base.ErrUnavailable, "endpoint: the peer closed the connection")
	// ErrEarlyRejected says that the server took no early data. Nothing of it was run, and Conn.Replacement is the same
	// connection without it. It matches pwp.ErrNotRun.
	ErrEarlyRejected = base.New(pwp.ErrNotRun, "endpoint: the server took no early data")
	// ErrBackoff says that a peer is not dialled again yet, because it failed a moment ago; *BackoffError has why and until when.
	ErrBackoff = base.New(base.ErrUnavailable, "endpoint: the peer failed a moment ago")
	// ErrTooManyPeers says that the cache is full of live connections. The way out: Limits.MaxPeers.
	ErrTooManyPeers = base.New(base.ErrOverloaded, "endpoint: too many peers")
	// ErrDatagramSize says that a datagram is larger than the path carries now; *DatagramSizeError has the limit.
	ErrDatagramSize = base.New(base.ErrInvalid, "endpoint: the datagram is too large for the path")
	// ErrDatagramDropped says that the queue of datagrams was full, and this one was dropped as a network would.
	ErrDatagramDropped = base.New(base.ErrOverloaded, "endpoint: the datagram was dropped")
)

// CloseError is why one side closed a connection on purpose. It matches ErrClosed, or ErrPeerClosed when the peer did it;
// with wire.CloseUntrusted ErrUntrusted, or ErrOwnCertificate.
type CloseError struct {
	Code wire.CloseCode
	// Remote says that the peer did it.
	Remote bool
	Reason string
}

func (e *CloseError) Error() string {
	text := e.Unwrap().Error() + ": " + e.Code.String()
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap returns the sentinel.
func (e *CloseError) Unwrap() error {
	switch {
	case e.Remote && e.Code == wire.CloseUntrusted:
		return ErrOwnCertificate
	case e.Remote:
		return ErrPeerClosed
	case e.Code == wire.CloseUntrusted:
		return ErrUntrusted
	}
	return ErrClosed
}

// CertificateError is a handshake that ended over a certificate. It matches ErrOwnCertificate or ErrPeerCertificate and, as
// far as it is known, what package certs calls the reason.
type CertificateError struct {
	// Remote says that the peer refused ours; else this side refused the peer's.
	Remote bool
	Cause  error
}

func (e *CertificateError) Error() string { return e.sentinel().Error() + ": " + e.Cause.Error() }

func (e *CertificateError) sentinel() error {
	if e.Remote {
		return ErrOwnCertificate
	}
	return ErrPeerCertificate
}

// Unwrap returns the sentinel and the cause.
func (e *CertificateError) Unwrap() []error { return []error{e.sentinel(), e.Cause} }

// BackoffError is ErrBackoff with what is known of the peer.
type BackoffError struct {
	Addr  string
	Until time.Time // when it is dialled again
	Cause error     // of the last failure
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("%v: %s, next try in %v: %v", ErrBackoff, e.Addr, time.Until(e.Until).Round(time.Millisecond), e.Cause)
}

// Unwrap returns ErrBackoff. The cause is for people and for errors.As on Cause.
func (e *BackoffError) Unwrap() error { return ErrBackoff }

// DatagramSizeError is ErrDatagramSize with the limit.
type DatagramSizeError struct{ SizeBytes, LimitBytes int }

func (e *DatagramSizeError) Error() string {
	return fmt.Sprintf("%v: %d bytes, %d fit", ErrDatagramSize, e.SizeBytes, e.LimitBytes)
}

// Unwrap returns ErrDatagramSize.
func (e *DatagramSizeError) Unwrap() error { return ErrDatagramSize }

// TLS alerts, RFC 8446 section 6.2; QUIC carries them as 0x100 + alert (RFC 9001 section 4.8).
const (
	cryptoErrorBase   = 0x100
	alertFirstOfCert  = 42 // bad_certificate
	alertLastOfCert   = 49 // access_denied
	alertIllegalParam = 47 // between these by its number only
	alertCertRequired = 116
	alertNoALPN       = 120
)

// reasonOf turns an error of QUIC into one of this package; others are returned as they are. nil stays nil.
func reasonOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, quic.Err0RTTRejected):
		return ErrEarlyRejected
	case errors.Is(err, quic.ErrTransportClosed), errors.Is(err, quic.ErrServerClosed):
		return ErrClosed
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return &CloseError{Code: wire.CloseCode(e.ErrorCode), Remote: e.Remote, Reason: e.ErrorMessage}
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return ErrGone
	}
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return ErrUnreachable
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return ErrRestarted
	}
	if e, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return fmt.Errorf("%w: %v", ErrALPN, e)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return transportReason(e)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w: %v", ErrTransport, err)
	}
	return err
}

// transportReason names what a CONNECTION_CLOSE of QUIC itself means.
func transportReason(e *quic.TransportError) error {
	alert := int64(e.ErrorCode) - cryptoErrorBase
	certificate := alert >= alertFirstOfCert && alert <= alertLastOfCert && alert != alertIllegalParam ||
		alert == alertCertRequired
	switch {
	case e.ErrorCode == quic.ConnectionRefused:
		return fmt.Errorf("%w: %s", ErrRefused, e.ErrorMessage)
	case alert == alertNoALPN:
		return fmt.Errorf("%w: %v", ErrALPN, e)
	case certificate && e.Remote:
		return &CertificateError{Remote: true, Cause: cmp.Or(certs.ExplainAlert(uint8(alert)), error(e))}
	case certificate:
		return &CertificateError{Cause: certs.Explain(e)}
	}
	return fmt.Errorf("%w: %v", ErrTransport, e)
}

// streamError turns an error of a stream into what package pwp expects of a transport.
func streamError(err error) error {
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return &pwp.StreamError{Code: wire.CloseCode(e.ErrorCode), Remote: e.Remote}
	}
	return reasonOf(err)
}
