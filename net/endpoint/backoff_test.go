package endpoint

import (
	"errors"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	l := &Limits{MinBackoff: 50 * time.Millisecond, MaxBackoff: 5 * time.Second}
	for _, row := range []struct {
		n      int
		spread float64
		want   time.Duration
	}{
		{1, 0.5, 50 * time.Millisecond},
		{1, 0, 25 * time.Millisecond},
		{2, 0.5, 100 * time.Millisecond},
		{7, 0.5, 3200 * time.Millisecond},
		{8, 0.5, 5 * time.Second},
		{8, 0.99, 5 * time.Second},
		{8, 0, 2500 * time.Millisecond},
		{1 << 40, 0.5, 5 * time.Second},
	} {
		if got := backoff(l, row.n, row.spread); got != row.want {
			t.Errorf("failure %d, spread %v: %v, want %v", row.n, row.spread, got, row.want)
		}
	}
}

// Every sentinel says by its marker what a caller can do.
func TestErrorsHaveOneMarker(t *testing.T) {
	markers := []error{
		base.ErrNotFound, base.ErrInvalid, base.ErrCorruption, base.ErrClosed, base.ErrOverloaded, base.ErrUnavailable,
		base.ErrVersion, base.ErrConflict, base.ErrExists, base.ErrPermission, base.ErrDiskFull, base.ErrUnknownOutcome,
	}
	for _, err := range []error{
		ErrOptions, ErrListen, ErrClosed, ErrNotListening, ErrAddress, ErrUnreachable, ErrGone, ErrRestarted, ErrRefused,
		ErrPeerCertificate, ErrOwnCertificate, ErrALPN, ErrTransport, ErrUntrusted, ErrPeerClosed, ErrEarlyRejected,
		ErrBackoff, ErrTooManyPeers, ErrDatagramSize, ErrDatagramDropped,
	} {
		n := 0
		for _, m := range markers {
			if errors.Is(err, m) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%v matches %d markers", err, n)
		}
	}
}
