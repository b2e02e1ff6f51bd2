package pwp_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// part is what one side sends in an example, before the other side's turn.
type part struct {
	who   byte // 'C', 'N' or 'S'
	bytes []byte
}

// examples reads the blocks of docs/protocol.md that are marked pwp.
func examples(t *testing.T) [][]part {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	check(t, err)
	var out [][]part
	inside := false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```pwp"):
			inside = true
			out = append(out, nil)
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside:
			code, _, _ := strings.Cut(line, "#")
			b, err := hex.DecodeString(strings.Join(strings.Fields(code[1:]), ""))
			check(t, err)
			e := &out[len(out)-1]
			if n := len(*e); n > 0 && (*e)[n-1].who == line[0] {
				(*e)[n-1].bytes = append((*e)[n-1].bytes, b...)
			} else {
				*e = append(*e, part{line[0], b})
			}
		}
	}
	return out
}

// docServer has the services of the examples.
func docServer(t *testing.T) *pwp.Server {
	server, err := pwp.NewServer(nil)
	check(t, err)
	check(t, server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
		switch r.Type() {
		case 0x01:
			if string(body(t, r.Message())) != "Maia" {
				return base.ErrNotFound
			}
			return r.Reply(0x02, field3([]byte("3.87")))
		case 0x03:
			for _, x := range "ab" {
				if err := r.Send(0x04, field3([]byte(string(x)))); err != nil {
					return err
				}
			}
			return nil
		}
		<-r.Context().Done()
		return r.Context().Err()
	})}))
	check(t, server.Handle(wire.ServiceRaft, pwp.Service{
		Handler: pwp.HandlerFunc(func(*pwp.Request) error { return nil }),
		Admit: func(pwp.Conn) (wire.ServiceCode, *wire.Error) {
			return wire.ServiceRetryError, &wire.Error{Code: wire.CodeUnavailable, Text: "loading", RetryAfter: 250 * time.Millisecond}
		},
		Status: func() wire.Status { return wire.StatusUnhealthy },
	}))
	return server
}

// TestExamplesOfTheProtocolPage plays every example of docs/protocol.md to a server, which answers with exactly its bytes.
func TestExamplesOfTheProtocolPage(t *testing.T) {
	all := examples(t)
	if len(all) != 6 {
		t.Fatalf("the page has %d examples", len(all))
	}
	for i, example := range all {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			server := docServer(t)
			cconn, sconn := pwptest.Pipe(nil)
			served := make(chan error, 1)
			go func() { served <- server.ServeConn(t.Context(), sconn) }()
			p := newRaw(t, cconn)
			for _, part := range example {
				if part.who == 'C' {
					p.send(part.bytes...)
					if part.bytes[len(part.bytes)-1] == 0xFF {
						_ = p.request.CloseWrite() // after CLOSE the server may have cut this half already
					}
					continue
				}
				from := p.response
				if part.who == 'N' {
					from = p.request
				}
				got := make([]byte, len(part.bytes))
				if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, part.bytes) {
					t.Fatalf("%c: %v\n got % x\nwant % x", part.who, err, got, part.bytes)
				}
			}
			for _, s := range []pwp.Stream{p.response, p.request} {
				if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
					t.Errorf("behind the example: % x, %v", rest, err)
				}
			}
			check(t, server.Close())
			<-served
		})
	}
}

// TestTablesOfTheProtocolPage looks for every number of the code in the page's tables.
func TestTablesOfTheProtocolPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	check(t, err)
	page := string(text)
	rows := 0
	want := func(row string) {
		rows++
		if !strings.Contains(page, row) {
			t.Errorf("the page has no row %q", row)
		}
	}
	for m := range 256 {
		if magic := wire.Magic(m); magic.Known() {
			want(fmt.Sprintf("| `%02x` | %v |", m, magic))
		}
	}
	for s := wire.ServiceGossip; s <= wire.ServiceSystem; s++ {
		want(fmt.Sprintf("| `%02x` | %v |", uint8(s), s))
	}
	for c := wire.CloseInternal; !strings.HasPrefix(c.String(), "close code"); c++ {
		want(fmt.Sprintf("| 0x%x |", uint64(c)))
	}
	for c := wire.ErrorCode(2); c.Sentinel() != wire.ErrInternal; c++ {
		want(fmt.Sprintf("| %d | ", c))
	}
	if rows < 17+5+16+15 {
		t.Errorf("looked for %d rows only", rows)
	}
}
