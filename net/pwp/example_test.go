package pwp_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func Example() {
	const get, value = 0x01, 0x02 // message types are the service's own
	server, err := pwp.NewServer(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
		if r.Type() != get {
			return fmt.Errorf("%w: no method %v", base.ErrInvalid, r.Type())
		}
		return r.Reply(value, []byte("\x1a\x04Maia")) // field 3 of the response
	})})
	if err != nil {
		fmt.Println(err)
		return
	}
	here, there := pwptest.Pipe(nil) // in a program: both ends of a QUIC connection
	served := make(chan error)
	go func() { served <- server.ServeConn(context.Background(), there) }()

	client, err := pwp.NewClient(here, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pair, err := client.Open(context.Background(), wire.ServiceKVStore, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	typ, msg, err := pair.Call(context.Background(), get, nil, nil)
	fmt.Printf("%v, % x, %v\n", typ, msg, err)
	_, _, err = pair.Call(context.Background(), 0x7f, nil, nil)
	fmt.Println(err, errors.Is(err, base.ErrInvalid))

	_ = pair.Close(context.Background())
	_ = client.Close()
	_ = server.Close()
	<-served
	// Output:
	// type 0x02, 08 01 1a 04 4d 61 69 61, <nil>
	// invalid input: no method type 0x7f true
}
