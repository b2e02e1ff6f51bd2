package client

import (
	"context"
	"time"

	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// quicDialer dials by an endpoint of the client's own: one UDP socket for all of its connections, and the session tickets
// of nodes that were reached before.
type quicDialer struct {
	endpoint *endpoint.Endpoint
	opts     endpoint.DialOptions
}

var _ Dialer = (*quicDialer)(nil)

func newQUIC(o *Options) (*quicDialer, error) {
	e, err := endpoint.Open(&endpoint.Options{
		Certs: o.Certs, Logger: o.Logger, Early: !o.NoEarly,
		Limits: &endpoint.Limits{IdleTimeout: o.SilenceTimeout, KeepAlive: min(keepAlive, max(o.SilenceTimeout/3, 10*time.Millisecond))},
	})
	if err != nil {
		return nil, err
	}
	return &quicDialer{endpoint: e, opts: endpoint.DialOptions{ALPN: endpoint.ALPNClient, Name: o.Node}}, nil
}

// keepAlive is after how much silence the node is asked for a sign of life.
const keepAlive = 3 * time.Second

// Dial implements Dialer.
func (d *quicDialer) Dial(ctx context.Context, addr string) (pwp.Conn, error) {
	conn, err := d.endpoint.Dial(ctx, addr, &d.opts)
	if err != nil {
		return nil, err // not conn: a nil *endpoint.Conn is no nil pwp.Conn
	}
	return conn, nil
}

// closeTime is how long nodes are given to hear that their connections end.
const closeTime = time.Second

// Close implements Dialer.
func (d *quicDialer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return d.endpoint.Close(ctx)
}
