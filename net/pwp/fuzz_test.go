package pwp_test

import (
	"context"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// FuzzServer plays any bytes to a running server, in pieces. The pair ends in good order, whatever they are, and all that
// the server said is well formed.
func FuzzServer(f *testing.F) {
	f.Add(byte(0), recording())
	f.Add(byte(1), recording()[:40])
	f.Add(byte(3), []byte{0x01, 0x03, 0x10, 0x02})
	f.Add(byte(7), append([]byte{0x01, 0x03, 0x10, 0x03}, wire.AppendErrorMessage(nil, &wire.Error{Code: 16})...))
	f.Fuzz(func(t *testing.T, pieces byte, b []byte) {
		if len(b) == 0 || len(b) > 4096 {
			return
		}
		server, err := pwp.NewServer(nil)
		check(t, err)
		check(t, server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
			if r.Type() == typeCount {
				_ = r.Send(typeNumber, nil)
				return r.Send(typeNumber, nil)
			}
			return r.Reply(typeEchoed, nil)
		})}))
		cconn, sconn := pwptest.Pipe(&pwptest.Options{ReadBytes: int(pieces)})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		served := make(chan error, 1)
		go func() { served <- server.ServeConn(ctx, sconn) }()
		answer, err := play(t, cconn, b)
		if err != nil || len(answer) == 0 || answer[len(answer)-1] != byte(wire.MagicClose) {
			t.Fatalf("% x: % x, %v", b, answer, err)
		}
		pairError(t, answer)
		check(t, server.Close())
		<-served
		if n := cconn.Live(); n != 0 {
			t.Fatalf("% x: %d streams are left", b, n)
		}
	})
}
