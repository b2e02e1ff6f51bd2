package client

import (
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/net/endpoint"
)

// TestSilence tells a node that is silent from one that has nothing to say.
func TestSilence(t *testing.T) {
	start := time.Unix(1000, 0)
	type step struct {
		at             time.Duration
		sent, received uint64
		rtt            time.Duration
		want           bool
	}
	for name, steps := range map[string][]step{
		"nothing to say": {{at: 0, sent: 5, received: 5}, {at: time.Minute, sent: 5, received: 5}},
		"an acknowledgement of ours is not acknowledged": {
			{at: 0, sent: 5, received: 5}, {at: time.Second, sent: 6, received: 5}, {at: time.Minute, sent: 6, received: 5},
		},
		"sent again and again": {
			{at: 0, sent: 5, received: 5},
			{at: 250 * time.Millisecond, sent: 6, received: 5},
			{at: 500 * time.Millisecond, sent: 7, received: 5},
			{at: 1200 * time.Millisecond, sent: 8, received: 5},
			{at: 1250 * time.Millisecond, sent: 8, received: 5, want: true},
		},
		"answered late": {
			{at: 0, sent: 5, received: 5},
			{at: 250 * time.Millisecond, sent: 6, received: 5},
			{at: 500 * time.Millisecond, sent: 7, received: 5},
			{at: 750 * time.Millisecond, sent: 7, received: 6},
			{at: 1500 * time.Millisecond, sent: 8, received: 6},
		},
		"a slow network": {
			{at: 0, sent: 5, received: 5},
			{at: time.Second, sent: 6, received: 5, rtt: time.Second},
			{at: 4 * time.Second, sent: 7, received: 5, rtt: time.Second},
			{at: 5 * time.Second, sent: 7, received: 5, rtt: time.Second, want: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s silence
			for i, st := range steps {
				got := s.suspicious(start.Add(st.at), endpoint.Stats{BytesSent: st.sent, BytesReceived: st.received, SmoothedRTT: st.rtt})
				if got != st.want {
					t.Errorf("step %d: %t", i, got)
				}
			}
		})
	}
}
