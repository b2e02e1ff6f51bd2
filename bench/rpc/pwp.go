package main

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

const (
	pwpGet      wire.MessageType = 0x01
	pwpResponse wire.MessageType = 0x02
)

var pwpSystem = system{name: "pwp", serve: servePWP, dial: dialPWP}

func servePWP(ctx context.Context, dir string, valueBytes int, listening func(string)) error {
	source, err := certs.Open(dir, certs.NodeLeaf, nil)
	if err != nil {
		return err
	}
	defer source.Close()
	e, err := endpoint.Open(&endpoint.Options{Listen: "127.0.0.1:0", Certs: source, Early: true})
	if err != nil {
		return err
	}
	defer e.Close(context.Background())
	server, err := pwp.NewServer(nil)
	if err != nil {
		return err
	}
	defer server.Close()
	a := newAnswerer(valueBytes)
	buffers := sync.Pool{New: func() any { return new([]byte) }}
	err = server.Handle(wire.ServiceKVStore, pwp.Service{
		Early: func(wire.MessageType) bool { return true },
		Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
			var req kvstorev1.GetRequest
			if err := req.UnmarshalVTUnsafe(r.Message()); err != nil {
				return err
			}
			buf := buffers.Get().(*[]byte)
			defer buffers.Put(buf)
			var err error
			// The envelope is the protocol's: the body has no request id.
			if *buf, err = appendMessage((*buf)[:0], &kvstorev1.GetResponse{Value: a.value, Version: 1}); err != nil {
				return err
			}
			return r.Reply(pwpResponse, *buf)
		}),
	})
	if err != nil {
		return err
	}
	listening(e.Addr().String())
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := e.Accept(ctx)
		if err != nil {
			return errUnlessDone(ctx, err)
		}
		conns.Go(func() { _ = server.ServeConn(ctx, conn) }) // it ends as its client goes
	}
}

func dialPWP(dir, addr string, ticket bool) (dialer, func(), error) {
	source, err := certs.Open(dir, certs.ClientLeaf(benchClient), nil)
	if err != nil {
		return nil, nil, err
	}
	e, err := endpoint.Open(&endpoint.Options{Certs: source, Early: ticket, Sessions: tickets(ticket)})
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return func(ctx context.Context) (caller, error) {
			conn, err := e.Dial(ctx, addr, nil)
			if err != nil {
				return nil, err
			}
			client, err := conn.Client()
			if err != nil {
				return nil, err
			}
			pair, err := client.Open(ctx, wire.ServiceKVStore, nil)
			if err != nil {
				return nil, err
			}
			return &pwpCaller{conn: conn, pair: pair, buffers: sync.Pool{New: func() any { return new(pwpBuffers) }}}, nil
		}, func() {
			_ = e.Close(context.Background())
			_ = source.Close()
		}, nil
}

// tickets is a cache that keeps tickets, or none.
func tickets(keep bool) tls.ClientSessionCache {
	if keep {
		return tls.NewLRUClientSessionCache(64)
	}
	return noTickets{}
}

type noTickets struct{}

func (noTickets) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (noTickets) Put(string, *tls.ClientSessionState)        {}

type pwpBuffers struct{ request, response []byte }

type pwpCaller struct {
	conn    *endpoint.Conn
	pair    *pwp.Pair
	buffers sync.Pool
}

func (p *pwpCaller) call(ctx context.Context, key []byte) (int, error) {
	b := p.buffers.Get().(*pwpBuffers)
	defer p.buffers.Put(b)
	var err error
	if b.request, err = appendMessage(b.request[:0], &kvstorev1.GetRequest{Key: key}); err != nil {
		return 0, err
	}
	_, msg, err := p.pair.Call(ctx, pwpGet, b.request, b.response[:0])
	if err != nil {
		return 0, err
	}
	b.response = msg
	return valueBytes(msg)
}

func (p *pwpCaller) close() error { return p.conn.CloseWithError(wire.CloseNone, "") }
