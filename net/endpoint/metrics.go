package endpoint

import (
	"errors"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// Metrics are the counters of an endpoint since it was opened; Connections and Handshaking are of now.
type Metrics struct {
	Connections, Handshaking int64
	// Accepted and Dialled connections lived, Dials were tried.
	Accepted, Dialled, Dials int64
	// Handshakes were completed, in either direction.
	Handshakes int64
	// EarlyAccepted and EarlyRejected count connections with early data, in either direction.
	EarlyAccepted, EarlyRejected int64
	// Refused peers found MaxConnections reached.
	Refused int64
	// Failures are dials and handshakes that failed, by reason.
	Failures Failures
	// BytesSent and BytesReceived are UDP payload, PacketsLost those that had to be sent again.
	BytesSent, BytesReceived, PacketsLost              uint64
	DatagramsSent, DatagramsReceived, DatagramsDropped int64
}

// Failures counts by the sentinel that an error matches.
type Failures struct {
	Unreachable, PeerCertificate, OwnCertificate, ALPN, Refused, Other int64
}

// Stats are the counters of a connection.
type Stats = quic.ConnectionStats

// Stats returns round-trip times, bytes, packets and losses of the connection so far.
func (c *Conn) Stats() Stats { return c.qc.ConnectionStats() }

type counters struct {
	accepted, dialled, dials, handshakes, earlyAccepted, earlyRejected, refused atomic.Int64
	datagramsSent, datagramsReceived, datagramsDropped                          atomic.Int64
	byReason                                                                    [len(failureReasons) + 1]atomic.Int64
	// Of connections that have ended.
	bytesSent, bytesReceived, packetsLost atomic.Uint64
}

var failureReasons = [...]error{ErrUnreachable, ErrPeerCertificate, ErrOwnCertificate, ErrALPN, ErrRefused}

// failed counts a dial or handshake that failed.
func (c *counters) failed(err error) {
	for i, reason := range failureReasons {
		if errors.Is(err, reason) {
			c.byReason[i].Add(1)
			return
		}
	}
	c.byReason[len(failureReasons)].Add(1)
}

// ended forgets a connection and keeps its counts.
func (e *Endpoint) ended(c *Conn, err error) {
	if !errors.Is(err, ErrEarlyRejected) { // else its replacement has the same counts
		stats := c.qc.ConnectionStats()
		e.count.bytesSent.Add(stats.BytesSent)
		e.count.bytesReceived.Add(stats.BytesReceived)
		e.count.packetsLost.Add(stats.PacketsLost)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.mu.conns, c)
}

// Metrics returns what was counted. It looks at every live connection.
func (e *Endpoint) Metrics() Metrics {
	k := &e.count
	m := Metrics{
		Handshaking: e.handshakes.Load(),
		Accepted:    k.accepted.Load(), Dialled: k.dialled.Load(), Dials: k.dials.Load(), Handshakes: k.handshakes.Load(),
		EarlyAccepted: k.earlyAccepted.Load(), EarlyRejected: k.earlyRejected.Load(), Refused: k.refused.Load(),
		Failures: Failures{
			Unreachable: k.byReason[0].Load(), PeerCertificate: k.byReason[1].Load(), OwnCertificate: k.byReason[2].Load(),
			ALPN: k.byReason[3].Load(), Refused: k.byReason[4].Load(), Other: k.byReason[5].Load(),
		},
		BytesSent: k.bytesSent.Load(), BytesReceived: k.bytesReceived.Load(), PacketsLost: k.packetsLost.Load(),
		DatagramsSent: k.datagramsSent.Load(), DatagramsReceived: k.datagramsReceived.Load(),
		DatagramsDropped: k.datagramsDropped.Load(),
	}
	for _, c := range e.live() {
		m.Connections++
		s := c.Stats()
		m.BytesSent += s.BytesSent
		m.BytesReceived += s.BytesReceived
		m.PacketsLost += s.PacketsLost
	}
	return m
}
