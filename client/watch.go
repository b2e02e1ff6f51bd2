package client

import (
	"time"

	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

const (
	// watchEvery is how often a connection is looked at.
	watchEvery = 250 * time.Millisecond
	// suspectAfter is how long a node may leave packets unacknowledged before another connection is tried. One that works
	// acknowledges within a round trip and 25 ms (RFC 9000, section 13.2.1).
	suspectAfter = time.Second
	// suspectRoundTrips is the same for a network that is slow.
	suspectRoundTrips = 4
)

// silence tells from the counters of a connection that its node does not answer.
type silence struct {
	sent, received uint64
	since          time.Time // when something was sent that has not been acknowledged; zero: there is nothing
	sends          int       // how often something was sent since then
}

// suspicious takes in the counters, and reports whether the node has been silent for too long. An acknowledgement of ours
// is not acknowledged; what waits for an answer is sent again and again.
func (s *silence) suspicious(now time.Time, st endpoint.Stats) bool {
	switch {
	case st.BytesReceived != s.received:
		*s = silence{sent: st.BytesSent, received: st.BytesReceived}
		return false
	case st.BytesSent != s.sent:
		if s.sent = st.BytesSent; s.sends == 0 {
			s.since = now
		}
		s.sends++
	}
	return s.sends >= 2 && now.Sub(s.since) >= max(suspectAfter, suspectRoundTrips*st.SmoothedRTT)
}

// watched is what a connection must have to be watched.
type watched interface{ Stats() endpoint.Stats }

// watch takes a link out of use whose node is silent: a node that was killed says nothing, and one that runs again does not
// know the connection. Requests that wait on it go on waiting, since the network may only be slow, until another connection
// is there; then they are cut off, and sent again where that is allowed. SilenceTimeout ends them in any case.
func (c *Client) watch(l *link, conn watched) {
	defer c.wg.Done()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for s := (silence{}); ; {
		select {
		case <-l.done:
			return
		case <-c.ctx.Done():
			return
		case now := <-ticker.C:
			if s.suspicious(now, conn.Stats()) {
				c.opts.Logger.Debug("node is silent", "addr", l.addr)
				c.retire(l)
				c.supersede(l, ticker.C)
				return
			}
		}
	}
}

// supersede cuts a silent link off as soon as there is a connection to take its place.
func (c *Client) supersede(l *link, tick <-chan time.Time) {
	for c.inUse(l) {
		if next, err := c.acquire(c.ctx); err == nil {
			speaks := next.speaks()
			c.release(next)
			if speaks {
				_ = l.conn.CloseWithError(wire.CloseNone, "")
				return
			}
		}
		select {
		case <-l.done:
			return
		case <-c.ctx.Done():
			return
		case <-tick:
		}
	}
}

// speaks reports whether the node has sent anything: a link with early data exists before it has.
func (l *link) speaks() bool {
	w, ok := l.conn.(watched)
	return !ok || w.Stats().BytesReceived > 0
}

func (c *Client) inUse(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.users > 0
}
