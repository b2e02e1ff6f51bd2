package system_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial serves src at the other end of a connection in memory, and returns a pair to it.
func dial(t testing.TB, src *system.Sources) *pwp.Pair {
	t.Helper()
	server, err := pwp.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Handle(wire.ServiceSystem, system.New(src)); err != nil {
		t.Fatal(err)
	}
	here, there := pwptest.Pipe(nil)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.ServeConn(context.Background(), there) }()
	client, err := pwp.NewClient(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close(); <-served })
	p, err := client.Open(t.Context(), wire.ServiceSystem, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type decoder interface{ UnmarshalVT([]byte) error }

func call(t *testing.T, p *pwp.Pair, typ wire.MessageType, body []byte, into decoder) {
	t.Helper()
	got, msg, err := p.Call(t.Context(), typ, body, nil)
	if err != nil || got != system.Response(typ) {
		t.Fatalf("%s: %v, %v", system.Name(typ), got, err)
	}
	if err := into.UnmarshalVT(msg); err != nil {
		t.Fatal(err)
	}
}

func TestEveryRequestIsAnswered(t *testing.T) {
	var pairs []pwp.Context
	for i := range 600 {
		pairs = append(pairs, pwp.Context{Peer: fmt.Sprint("peer", i), Stream: wire.StreamID(4 * i), State: pair.StateEstablished, Age: time.Second})
	}
	p := dial(t, &system.Sources{
		Health: func(context.Context) *systemv1.HealthResponse { return &systemv1.HealthResponse{Healthy: true} },
		Node: func(context.Context) (*systemv1.NodeResponse, error) {
			return &systemv1.NodeResponse{NodeId: "n1"}, nil
		},
		Settings: func() []*systemv1.Setting { return []*systemv1.Setting{{Name: "listen", Value: "x"}} },
		Limits:   func() []*systemv1.Limit { return []*systemv1.Limit{{Name: "pairs", Value: 7, Used: 1}} },
		Contexts: func() (answers, asks []pwp.Context) { return pairs[:599], pairs[599:] },
		Metrics: func(prefix string) ([]*systemv1.Sample, error) {
			return []*systemv1.Sample{{Name: prefix + "x", Value: 2}}, nil
		},
	})
	var health systemv1.HealthResponse
	if call(t, p, system.Health, nil, &health); !health.Healthy || health.Ready {
		t.Errorf("%v", &health)
	}
	var node systemv1.NodeResponse
	if call(t, p, system.Node, nil, &node); node.NodeId != "n1" || node.RequestId == 0 {
		t.Errorf("%v", &node)
	}
	var settings systemv1.SettingsResponse
	if call(t, p, system.Settings, nil, &settings); len(settings.Settings) != 1 || settings.Settings[0].Value != "x" {
		t.Errorf("%v", &settings)
	}
	var limits systemv1.LimitsResponse
	if call(t, p, system.Limits, nil, &limits); len(limits.Limits) != 1 || limits.Limits[0].Used != 1 {
		t.Errorf("%v", &limits)
	}
	prefix := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "pleiades_")
	var metrics systemv1.MetricsResponse
	if call(t, p, system.Metrics, prefix, &metrics); len(metrics.Samples) != 1 || metrics.Samples[0].Name != "pleiades_x" || metrics.TakenUnixNanos == 0 {
		t.Errorf("%v", &metrics)
	}

	list, err := p.Stream(t.Context(), system.Contexts, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	var got []*systemv1.Context
	messages := 0
	for ; ; messages++ {
		_, msg, err := list.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var part systemv1.ContextsResponse
		if err := part.UnmarshalVT(msg); err != nil {
			t.Fatal(err)
		}
		got = append(got, part.Contexts...)
	}
	if len(got) != 600 || messages != 3 || !got[0].Incoming || got[599].Incoming || got[599].Peer != "peer599" || got[1].State != "established" || got[1].AgeMillis != 1000 {
		t.Errorf("%d contexts in %d messages: %v", len(got), messages, got[len(got)-1])
	}
}

// TestRefusals: what is missing, unknown or broken is answered with the error that says so, and the pair lives on.
func TestRefusals(t *testing.T) {
	failed := fmt.Errorf("%w: disk", base.ErrCorruption)
	p := dial(t, &system.Sources{
		Metrics: func(string) ([]*systemv1.Sample, error) { return nil, failed },
		Node:    func(context.Context) (*systemv1.NodeResponse, error) { return nil, failed },
	})
	broken := []byte{0x18, 0x01} // field 3 is a number, not a string
	for _, tt := range []struct {
		typ  wire.MessageType
		body []byte
		want error
	}{
		{system.Health, nil, wire.ErrUnavailable},
		{system.Settings, nil, wire.ErrUnavailable},
		{system.Limits, nil, wire.ErrUnavailable},
		{system.Contexts, nil, wire.ErrUnavailable},
		{system.Metrics, nil, base.ErrCorruption},
		{system.Node, nil, base.ErrCorruption},
		{system.Metrics, broken, base.ErrInvalid},
		{0x0d, nil, base.ErrInvalid},
		{0x02, nil, base.ErrInvalid},
	} {
		if _, _, err := p.Call(t.Context(), tt.typ, tt.body, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s %x: %v, want %v", system.Name(tt.typ), tt.body, err, tt.want)
		}
	}
}

func TestTypesOfRequestsAreOddAndResponsesFollow(t *testing.T) {
	known := 0
	for i := range 256 {
		typ := wire.MessageType(i)
		if !system.Known(typ) {
			continue
		}
		known++
		if typ%2 == 0 || system.Known(system.Response(typ)) || !system.Response(typ).Application() {
			t.Errorf("%s has the type %v", system.Name(typ), typ)
		}
	}
	if known != 6 {
		t.Errorf("%d requests", known)
	}
}

func Example() {
	server, err := pwp.NewServer(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = server.Handle(wire.ServiceSystem, system.New(&system.Sources{
		Node: func(context.Context) (*systemv1.NodeResponse, error) {
			return &systemv1.NodeResponse{NodeId: "maia", State: "ready"}, nil
		},
	}))
	here, there := pwptest.Pipe(nil) // in a program: both ends of a QUIC connection
	served := make(chan error)
	go func() { served <- server.ServeConn(context.Background(), there) }()
	client, err := pwp.NewClient(here, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := client.Open(context.Background(), wire.ServiceSystem, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, msg, err := p.Call(context.Background(), system.Node, nil, nil)
	var node systemv1.NodeResponse
	fmt.Println(errors.Join(err, node.UnmarshalVT(msg)), node.NodeId, node.State)
	_ = client.Close()
	_ = server.Close()
	<-served
	// Output: <nil> maia ready
}
