package kvservice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"go.uber.org/goleak"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvservice"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func trusted(pwp.Conn) (kvstore.Caller, error) { return kvstore.Caller{}, nil }

// serve gives a service to a connection in memory and returns a pair on it, and the server's end.
func serve(t *testing.T, service pwp.Service, opts *pwptest.Options) (*pwp.Pair, *pwptest.Conn) {
	t.Helper()
	server, err := pwp.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Handle(wire.ServiceKVStore, service); err != nil {
		t.Fatal(err)
	}
	here, there := pwptest.Pipe(opts)
	served := make(chan error, 1)
	go func() { served <- server.ServeConn(context.Background(), there) }()
	client, err := pwp.NewClient(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		<-served
	})
	pair, err := client.Open(t.Context(), wire.ServiceKVStore, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair, there
}

func call(t *testing.T, pair *pwp.Pair, typ wire.MessageType, req interface{ MarshalVT() ([]byte, error) }) ([]byte, error) {
	t.Helper()
	body, err := req.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	_, resp, err := pair.Call(t.Context(), typ, body, nil)
	return resp, kvwire.FromWire(err)
}

// TestEveryRequestIsServed sends every type that kvwire knows, empty: each has to be answered by the store, and not by
// "unknown".
func TestEveryRequestIsServed(t *testing.T) {
	n := nodetest.Start(t, nil)
	pair, _ := serve(t, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted}), nil)
	known := 0
	for i := 1; i < 0xf0; i++ {
		typ := wire.MessageType(i)
		var err error
		if kvwire.Streams(typ) {
			var responses *pwp.Responses
			if responses, err = pair.Stream(t.Context(), typ, nil); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, _, err = responses.Next()
			}
			_ = responses.Close()
		} else {
			_, _, err = pair.Call(t.Context(), typ, nil, nil)
		}
		err = kvwire.FromWire(err)
		e, _ := errors.AsType[*wire.Error](err)
		unknown := e != nil && e.Detail == kverr.NumberOf(kverr.ErrBadRequest) && errors.Is(err, kverr.ErrBadRequest) && len(e.Text) > 60
		switch {
		case kvwire.Known(typ):
			known++
			if unknown || errors.Is(err, wire.ErrInternal) {
				t.Errorf("%s: %v", kvwire.Name(typ), err)
			}
		case !errors.Is(err, kverr.ErrBadRequest):
			t.Errorf("%s: %v", kvwire.Name(typ), err)
		}
	}
	if known < 20 {
		t.Errorf("only %d requests are known", known)
	}
}

func TestDamagedRequestsAreRefused(t *testing.T) {
	n := nodetest.Start(t, nil)
	pair, _ := serve(t, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted}), nil)
	// A key that announces more bytes than there are would end the pair as no message at all; this is one whose session is
	// not one.
	_, _, err := pair.Call(t.Context(), kvwire.Put, []byte{12<<3 | 2, 2, 10, 9}, nil)
	if !errors.Is(kvwire.FromWire(err), kverr.ErrBadRequest) {
		t.Errorf("a damaged request: %v", err)
	}
	if _, err := call(t, pair, kvwire.Put, &kvstorev1.PutRequest{Key: []byte("k")}); err != nil {
		t.Errorf("the request behind it: %v", err)
	}
}

func TestConnectionsWithoutCertificateAreRefused(t *testing.T) {
	n := nodetest.Start(t, nil)
	pair, _ := serve(t, kvservice.New(n.Store(), nil), nil)
	_, err := call(t, pair, kvwire.Get, &kvstorev1.GetRequest{Key: []byte("k")})
	if !errors.Is(err, base.ErrPermission) {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestAStoreThatIsNotReady(t *testing.T) {
	n := nodetest.Start(t, nil)
	starting := fmt.Errorf("the store is starting")
	pair, _ := serve(t, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted, Ready: func() error { return starting }}), nil)
	_, err := call(t, pair, kvwire.Get, &kvstorev1.GetRequest{Key: []byte("k")})
	if !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("while it starts: %v", err)
	}
}

// TestEarlyDataWritesNothing has a connection whose handshake is not done: reads are answered, writes wait.
func TestEarlyDataWritesNothing(t *testing.T) {
	n := nodetest.Start(t, nil)
	pair, there := serve(t, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted}), &pwptest.Options{Early: true})
	written := make(chan error, 1)
	go func() {
		body, err := (&kvstorev1.PutRequest{Key: []byte("k"), Value: []byte("v")}).MarshalVT()
		if err == nil {
			_, _, err = pair.Call(context.Background(), kvwire.Put, body, nil)
		}
		written <- err
	}()
	for range 3 { // in order behind the put: were it run, one of them would find the key
		if _, err := call(t, pair, kvwire.Get, &kvstorev1.GetRequest{Key: []byte("k")}); !errors.Is(err, kverr.ErrNotFound) {
			t.Errorf("a get before the handshake is done: %v", err)
		}
	}
	there.FinishHandshake()
	if err := <-written; err != nil {
		t.Errorf("the put behind the handshake: %v", err)
	}
	if _, err := call(t, pair, kvwire.Get, &kvstorev1.GetRequest{Key: []byte("k")}); err != nil {
		t.Errorf("a get behind it: %v", err)
	}
}

// TestScansAreSentInChunks looks at the messages of a scan, and at their tokens, which are those of package versioning.
func TestScansAreSentInChunks(t *testing.T) {
	n := nodetest.Start(t, nil)
	pair, _ := serve(t, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted}), nil)
	for i := range 100 {
		if _, err := call(t, pair, kvwire.Put, &kvstorev1.PutRequest{Key: fmt.Appendf(nil, "%02d", i), Value: make([]byte, 2000)}); err != nil {
			t.Fatal(err)
		}
	}
	var tokens []versioning.Token
	bucket, err := n.Store().Versions().Bucket(kvwire.DefaultBucket)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range bucket.Scan(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, e.Token())
	}
	body, err := (&kvstorev1.ScanRequest{Values: true}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	responses, err := pair.Stream(t.Context(), kvwire.Scan, body)
	if err != nil {
		t.Fatal(err)
	}
	messages, keys := 0, 0
	for {
		_, msg, err := responses.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var resp kvstorev1.ScanResponse
		if err == nil {
			err = resp.UnmarshalVT(msg)
		}
		if err != nil {
			t.Fatal(err)
		}
		messages++
		keys += len(resp.Entries)
		if len(msg) > kvservice.ChunkBytes+3000 {
			t.Errorf("a message of %d bytes", len(msg))
		}
		if string(resp.ResumeToken) != string(tokens[keys-1]) {
			t.Errorf("behind key %d the token is %x, package versioning has %x", keys, resp.ResumeToken, tokens[keys-1])
		}
	}
	if messages < 6 || messages > 8 || keys != 100 {
		t.Errorf("%d keys in %d messages", keys, messages)
	}
}
