package pair_test

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func Example() {
	server := pair.New(pair.Config{
		Role: pair.RoleServer,
		Service: func(s wire.Service) (wire.ServiceCode, *wire.Error) {
			return wire.ServiceReady, nil
		},
	})
	flight := []byte{0x01, 0x03, 0x10, 0x03} // HELLO, STREAM_SETUP_COMPLETE, SERVICE_TYPE_REQUEST(kvstore)
	for len(flight) > 0 {
		n, event := server.Receive(flight)
		flight = flight[n:]
		fmt.Println(event.Kind, server.State())
	}
	out := server.Take(nil)
	fmt.Printf("on N % x, on N+1 % x\n", out.Setup, out.Main)
	// Output:
	// hello setup
	// open open
	// service established
	// on N 02 00 00 00 00 00 00 00 01, on N+1 01 11 00
}
