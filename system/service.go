package system

import (
	"context"
	"fmt"
	"time"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// contextsPerResponse is how many pairs one message of the list holds: about 20 KiB.
const contextsPerResponse = 256

// Sources are where the answers come from. Each function may be called by many requests at once; what it returns is only
// read. A nil function is answered with wire.ErrUnavailable.
type Sources struct {
	// Health looks at everything that health depends on. It should return within a second.
	Health func(ctx context.Context) *systemv1.HealthResponse
	// Node describes the node.
	Node func(ctx context.Context) (*systemv1.NodeResponse, error)
	// Settings lists the settings and who set them; no secrets.
	Settings func() []*systemv1.Setting
	// Limits lists bounds and how much of them is in use.
	Limits func() []*systemv1.Limit
	// Contexts lists the live stream pairs that the node answers, and those that it asks on.
	Contexts func() (answers, asks []pwp.Context)
	// Metrics lists the metrics whose name begins with prefix.
	Metrics func(prefix string) ([]*systemv1.Sample, error)
	// Status is the health of this service for anybody who asks by SERVICE_STATUS_REQUEST; it must not block. nil is
	// healthy.
	Status func() wire.Status
}

// New returns the service. src is copied.
func New(src *Sources) pwp.Service {
	s := &service{src: *src}
	return pwp.Service{Handler: s, Early: Known, Status: s.src.Status}
}

type service struct{ src Sources }

var _ pwp.Handler = (*service)(nil)

// message is what generated messages have.
type message interface {
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
}

// ServePWP answers one request. Errors: base.ErrInvalid for a type that there is not and for bytes that are no message;
// wire.ErrUnavailable; what the sources return.
func (s *service) ServePWP(r *pwp.Request) error {
	switch r.Type() {
	case Health:
		if err := decode(r, &systemv1.HealthRequest{}, s.src.Health != nil); err != nil {
			return err
		}
		return reply(r, s.src.Health(r.Context()))
	case Node:
		if err := decode(r, &systemv1.NodeRequest{}, s.src.Node != nil); err != nil {
			return err
		}
		answer, err := s.src.Node(r.Context())
		if err != nil {
			return err
		}
		return reply(r, answer)
	case Settings:
		if err := decode(r, &systemv1.SettingsRequest{}, s.src.Settings != nil); err != nil {
			return err
		}
		return reply(r, &systemv1.SettingsResponse{Settings: s.src.Settings()})
	case Limits:
		if err := decode(r, &systemv1.LimitsRequest{}, s.src.Limits != nil); err != nil {
			return err
		}
		return reply(r, &systemv1.LimitsResponse{Limits: s.src.Limits()})
	case Contexts:
		if err := decode(r, &systemv1.ContextsRequest{}, s.src.Contexts != nil); err != nil {
			return err
		}
		return s.contexts(r)
	case Metrics:
		var req systemv1.MetricsRequest
		if err := decode(r, &req, s.src.Metrics != nil); err != nil {
			return err
		}
		samples, err := s.src.Metrics(req.Prefix)
		if err != nil {
			return err
		}
		return reply(r, &systemv1.MetricsResponse{TakenUnixNanos: uint64(time.Now().UnixNano()), Samples: samples})
	}
	return fmt.Errorf("%w: the system service has no request of %v", base.ErrInvalid, r.Type())
}

func decode(r *pwp.Request, into message, have bool) error {
	if err := into.UnmarshalVT(r.Message()); err != nil {
		return fmt.Errorf("%w: the %s request is no message: %w", base.ErrInvalid, Name(r.Type()), err)
	}
	if !have {
		return fmt.Errorf("%w: this node does not tell its %s", wire.ErrUnavailable, Name(r.Type()))
	}
	return nil
}

func reply(r *pwp.Request, answer message) error {
	body, err := answer.MarshalVT()
	if err != nil {
		return fmt.Errorf("system: encoding the %s: %w", Name(r.Type()), err)
	}
	return r.Reply(Response(r.Type()), body)
}

// contexts streams the list of pairs.
func (s *service) contexts(r *pwp.Request) error {
	answers, asks := s.src.Contexts()
	var next systemv1.ContextsResponse
	flush := func() error {
		body, err := next.MarshalVT()
		if err != nil {
			return fmt.Errorf("system: encoding the contexts: %w", err)
		}
		next.Contexts = next.Contexts[:0]
		return r.Send(Response(Contexts), body)
	}
	for i := range len(answers) + len(asks) {
		if i < len(answers) {
			next.Contexts = append(next.Contexts, contextMessage(&answers[i], true))
		} else {
			next.Contexts = append(next.Contexts, contextMessage(&asks[i-len(answers)], false))
		}
		if len(next.Contexts) == contextsPerResponse {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(next.Contexts) == 0 {
		return nil
	}
	return flush()
}

func contextMessage(c *pwp.Context, incoming bool) *systemv1.Context {
	return &systemv1.Context{
		Peer: c.Peer, Stream: uint64(c.Stream), Service: uint32(c.Service), State: c.State.String(), Version: uint32(c.Version),
		InFlight: uint32(c.InFlight), QueuedBytes: uint64(c.QueuedBytes),
		BytesIn: uint64(c.BytesIn), BytesOut: uint64(c.BytesOut), MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut,
		AgeMillis: uint64(c.Age.Milliseconds()), RoundTripMicros: uint64(c.RoundTrip.Microseconds()), Incoming: incoming,
	}
}
