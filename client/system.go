package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

// System asks the node that the client is connected to about itself. The answers are the messages of api/system/v1, and
// the caller's.
type System struct{ c *Client }

// System returns what to ask the node with.
func (c *Client) System() System { return System{c} }

func (s System) ask(ctx context.Context, t wire.MessageType, method string, msg encoded, answer func([]byte) error) error {
	return s.c.read(ctx, &request{service: wire.ServiceSystem, typ: t, method: method, msg: msg, keep: true, answer: answer})
}

// Health says whether the node works, and whether it takes requests.
func (s System) Health(ctx context.Context) (*systemv1.HealthResponse, error) {
	resp := &systemv1.HealthResponse{}
	return resp, s.ask(ctx, system.Health, "health", &systemv1.HealthRequest{}, resp.UnmarshalVTUnsafe)
}

// Node says what the node is: name, version, addresses, space.
func (s System) Node(ctx context.Context) (*systemv1.NodeResponse, error) {
	resp := &systemv1.NodeResponse{}
	return resp, s.ask(ctx, system.Node, "node", &systemv1.NodeRequest{}, resp.UnmarshalVTUnsafe)
}

// Settings returns the node's settings, and where each comes from.
func (s System) Settings(ctx context.Context) (*systemv1.SettingsResponse, error) {
	resp := &systemv1.SettingsResponse{}
	return resp, s.ask(ctx, system.Settings, "settings", &systemv1.SettingsRequest{}, resp.UnmarshalVTUnsafe)
}

// Limits returns the bounds of the node, and how much of each is in use.
func (s System) Limits(ctx context.Context) (*systemv1.LimitsResponse, error) {
	resp := &systemv1.LimitsResponse{}
	return resp, s.ask(ctx, system.Limits, "limits", &systemv1.LimitsRequest{}, resp.UnmarshalVTUnsafe)
}

// Metrics returns the node's metrics whose name begins with prefix.
func (s System) Metrics(ctx context.Context, prefix string) (*systemv1.MetricsResponse, error) {
	resp := &systemv1.MetricsResponse{}
	return resp, s.ask(ctx, system.Metrics, "metrics", &systemv1.MetricsRequest{Prefix: prefix}, resp.UnmarshalVTUnsafe)
}

// Contexts walks over the live stream pairs of the node, in no order. It is not asked again when the connection breaks.
func (s System) Contexts(ctx context.Context) iter.Seq2[*systemv1.Context, error] {
	return func(yield func(*systemv1.Context, error) bool) {
		if err := s.contexts(ctx, yield); err != nil && !errors.Is(err, errStopped) {
			yield(nil, named("contexts", err))
		}
	}
}

func (s System) contexts(ctx context.Context, yield func(*systemv1.Context, error) bool) error {
	l, err := s.c.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.c.release(l)
	p, err := l.pwp.Open(ctx, wire.ServiceSystem, nil)
	if err != nil {
		return s.c.blame(l, err)
	}
	defer p.Abort()
	responses, err := p.Stream(ctx, system.Contexts, nil)
	if err != nil {
		return s.c.blame(l, err)
	}
	defer responses.Close()
	_, err = drain(responses, system.Contexts, func(msg []byte) error {
		var resp systemv1.ContextsResponse
		if err := resp.UnmarshalVT(msg); err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		for _, m := range resp.Contexts {
			if !yield(m, nil) {
				return errStopped
			}
		}
		return nil
	})
	return err
}

// Ping is a series of latency tests on a pair of its own, so that nothing stands in their way.
type Ping struct {
	c    *Client
	link *link
	pair *pwp.Pair
}

// NewPing begins a series. Close it.
func (c *Client) NewPing(ctx context.Context) (*Ping, error) {
	l, err := c.acquire(ctx)
	if err != nil {
		return nil, named("ping", err)
	}
	p, err := l.pwp.Open(ctx, 0, nil)
	if err != nil {
		err = c.blame(l, err)
		c.release(l)
		return nil, named("ping", err)
	}
	return &Ping{c: c, link: l, pair: p}, nil
}

// Send runs one latency test and returns its round trip. Errors: pwp.ErrLost when the connection broke, those of ctx.
func (p *Ping) Send(ctx context.Context) (time.Duration, error) {
	took, err := p.pair.Ping(ctx)
	if err != nil {
		return 0, named("ping", p.c.blame(p.link, err))
	}
	return took, nil
}

// Peer names the node: its certificate's name and its address.
func (p *Ping) Peer() string { return p.link.conn.Peer() }

// Close ends the series.
func (p *Ping) Close() {
	p.pair.Abort()
	p.c.release(p.link)
}
