package client

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Dialer makes connections to nodes. All methods may be called concurrently.
type Dialer interface {
	// Dial connects to one address. The connection is the client's, which closes it with CloseWithError. Where it has a
	// method Done() <-chan struct{}, the client notices without a request that it has ended.
	Dial(ctx context.Context, addr string) (pwp.Conn, error)
	// Close gives up what the dialer holds, after the last connection was closed.
	Close() error
}

// Options are what a client is made of. The zero value of each field is its default; nil Options are all defaults, and
// cannot reach a node: one of Certs and Dialer is needed.
type Options struct {
	// Certs is the client's identity; it stays the caller's and must be open as long as the client.
	Certs *certs.Source
	// Node is the name that the node's certificate must have. Empty: any node of the constellation.
	Node string
	// NoEarly never sends requests before the connection is set up. By default reads go with the first flight where an
	// earlier connection has left a ticket: an attacker could repeat them, and learns nothing by it.
	NoEarly bool
	// Dialer replaces QUIC; Certs, Node and NoEarly are not used then. The client closes it.
	Dialer Dialer

	// RetryFor is how long a request is tried again when it was not run, or may be sent twice without harm. It counts from
	// the first failure on; a context that ends sooner ends it sooner. Default 30 s; negative: never again.
	RetryFor time.Duration
	// DialTimeout is how long one address may take to answer. Attempts to reach a node again begin with 1 s. Default 5 s.
	DialTimeout time.Duration
	// SilenceTimeout is how long a node may say nothing at all before its connection is given up, with the requests that
	// wait on it. Another connection is tried after 1 s already; when it is made, it takes their place. Default 10 s.
	SilenceTimeout time.Duration
	// MinBackoff and MaxBackoff bound the time between two attempts, which doubles; half of it is random. Default 5 ms and
	// 1 s.
	MinBackoff, MaxBackoff time.Duration
	// NoSession sends writes without a session: a write whose answer was lost then fails with ErrUnknownOutcome, and is
	// not sent again.
	NoSession bool

	// MaxInFlight is how many requests are under way at a time; further ones wait. Default and maximum 256: what a pair
	// carries.
	MaxInFlight int
	// MaxBulkBytes is how many bytes of requests over 64 KiB are under way at a time. Default 64 MiB.
	MaxBulkBytes int64
	// Limits are those of the protocol. nil is all defaults.
	Limits *pwp.Limits

	// Logger gets connections lost and made. nil discards it.
	Logger *slog.Logger
	// Observe is called behind every request, by the goroutine that made it. It must not block.
	Observe func(Call)
}

// Call is what Options.Observe is told of a request.
type Call struct {
	// Method is its name, such as "put".
	Method string
	// Took is the time from the call to its return, Attempts how often it was sent.
	Took     time.Duration
	Attempts int
	Err      error
}

func (o *Options) filled() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	var faults []string
	bound := func(name string, p *int64, def, lo, hi int64) {
		if *p == 0 {
			*p = def
		}
		if *p < lo || *p > hi {
			faults = append(faults, fmt.Sprintf("%s is %d, allowed are %d to %d", name, *p, lo, hi))
		}
	}
	span := func(name string, p *time.Duration, def, lo, hi time.Duration) {
		if *p == 0 {
			*p = def
		}
		if *p < lo || *p > hi {
			faults = append(faults, fmt.Sprintf("%s is %v, allowed are %v to %v", name, *p, lo, hi))
		}
	}
	if out.RetryFor == 0 {
		out.RetryFor = 30 * time.Second
	}
	span("DialTimeout", &out.DialTimeout, 5*time.Second, time.Millisecond, time.Hour)
	span("SilenceTimeout", &out.SilenceTimeout, 10*time.Second, 100*time.Millisecond, time.Hour)
	span("MinBackoff", &out.MinBackoff, 5*time.Millisecond, time.Microsecond, time.Minute)
	span("MaxBackoff", &out.MaxBackoff, max(time.Second, out.MinBackoff), out.MinBackoff, time.Hour)
	inFlight := int64(out.MaxInFlight)
	bound("MaxInFlight", &inFlight, maxInFlight, 1, maxInFlight)
	out.MaxInFlight = int(inFlight)
	bound("MaxBulkBytes", &out.MaxBulkBytes, 64<<20, wire.DefaultMaxMessageBytes, 1<<40)
	if out.Dialer == nil && out.Certs == nil {
		faults = append(faults, "neither Certs nor a Dialer: a client needs an identity, which certs.Open reads from a directory")
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if len(faults) > 0 {
		return out, fmt.Errorf("%w: %s", ErrOptions, strings.Join(faults, "; "))
	}
	return out, nil
}

// maxInFlight is what one pair carries.
const maxInFlight = 256
