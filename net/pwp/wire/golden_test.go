package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// frames is one example of every frame of the table.
func frames() [][]byte {
	return [][]byte{
		wire.AppendHello(nil),
		wire.AppendResponseStreamID(nil, 5),
		wire.AppendSetupComplete(nil),
		wire.AppendVersionRequest(nil, wire.Version1),
		wire.AppendVersionResponse(nil, 3),
		wire.AppendServiceRequest(nil, wire.ServiceKVStore),
		wire.AppendServiceResponse(nil, wire.ServiceRetryError),
		wire.AppendStatusRequest(nil, wire.ServiceRaft),
		wire.AppendStatusResponse(nil, wire.StatusUnhealthy),
		wire.Frame{Magic: wire.MagicPayloadType, Value: 0x07}.Append(nil),
		wire.Frame{Magic: wire.MagicPayloadChecksum, Value: 0xE3069283}.Append(nil),
		wire.Frame{Magic: wire.MagicPayloadSize, Value: 1 << 20}.Append(nil),
		wire.AppendLatencyStart(nil, 0x0123456789ABCDEF),
		wire.AppendLatencyStop(nil, 0x0123456789ABCDEF),
		wire.AppendHeartbeat(nil),
		wire.AppendHeartbeatInterval(nil, 5*time.Second),
		wire.AppendClose(nil),
	}
}

// messages is one example of every message that the protocol itself has, and one request with everything.
func messages() []struct {
	name  string
	bytes []byte
} {
	return []struct {
		name  string
		bytes []byte
	}{
		{"request 1, no deadline, empty body", wire.AppendMessage(nil, 0x01, wire.Envelope{ID: 1}, nil)},
		{"request 300, 1.5 s, body 1a 03 6b 65 79 (field 3 = \"key\")", wire.AppendMessage(nil, 0x01,
			wire.Envelope{ID: 300, Timeout: 1500 * time.Millisecond}, []byte("\x1a\x03key"))},
		{"error of request 300: not found", wire.AppendErrorMessage(nil,
			&wire.Error{ID: 300, Code: wire.CodeNotFound, Text: "no such key"})},
		{"error of the pair: overloaded, retry after 250 ms, detail 9", wire.AppendErrorMessage(nil,
			&wire.Error{Code: wire.CodeOverloaded, RetryAfter: 250 * time.Millisecond, Detail: 9})},
		{"cancel of request 300", wire.AppendMessage(nil, wire.TypeCancel, wire.Envelope{ID: 300}, nil)},
		{"end of the responses of request 300", wire.AppendMessage(nil, wire.TypeEnd, wire.Envelope{ID: 300}, nil)},
	}
}

func annotate(b []byte) string {
	f, n, err := wire.Parse(b)
	if err != nil {
		return fmt.Sprintf("%x: %v", b, err)
	}
	return fmt.Sprintf("%-28s%v", spaced(b[:n]), f)
}

func spaced(b []byte) string { return fmt.Sprintf("% x", b) }

// TestGolden pins the bytes of every frame and of every message of the protocol. A difference is a new protocol.
func TestGolden(t *testing.T) {
	datadriven.RunTest(t, "testdata/golden.txt", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		switch d.Cmd {
		case "frames":
			for _, b := range frames() {
				fmt.Fprintln(&out, annotate(b))
			}
		case "messages":
			for _, m := range messages() {
				p, n, err := wire.ParsePrelude(m.bytes)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&out, "%s\n  %s  type %v\n  %s  checksum\n  %s  size %d\n  %s\n", m.name,
					pad(m.bytes[:2]), p.Type, pad(m.bytes[2:7]), pad(m.bytes[7:n]), p.SizeBytes, spaced(m.bytes[n:]))
			}
		case "errors":
			for c := wire.ErrorCode(1); c <= 17; c++ {
				fmt.Fprintf(&out, "%2d %v\n", c, c.Sentinel())
			}
		case "close-codes":
			for c := wire.CloseInternal; c <= 0x5011; c++ {
				fmt.Fprintf(&out, "0x%x %v\n", uint64(c), c)
			}
		case "parse":
			b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(d.Input, " ", ""), "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			f, n, err := wire.Parse(b)
			if err != nil {
				return fmt.Sprintf("%v (%v)\n", err, wire.CloseCodeOf(err))
			}
			return fmt.Sprintf("%v, %d bytes\n", f, n)
		case "prelude":
			b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(d.Input, " ", ""), "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			p, n, err := wire.ParsePrelude(b)
			if err == nil {
				err = p.Check(wire.DefaultMaxMessageBytes)
			}
			if err == nil && len(b) > n {
				err = p.Verify(b[n:])
			}
			if err != nil {
				return fmt.Sprintf("%v (%v)\n", err, wire.CloseCodeOf(err))
			}
			return fmt.Sprintf("%v, checksum %08x, %d bytes\n", p.Type, p.Checksum, p.SizeBytes)
		default:
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
		return out.String()
	})
}

func pad(b []byte) string { return fmt.Sprintf("%-27s", spaced(b)) }

// TestEveryMagicByteHasAnExample fails when the table grows and frames() does not.
func TestEveryMagicByteHasAnExample(t *testing.T) {
	seen := map[wire.Magic]bool{}
	for _, b := range frames() {
		seen[wire.Magic(b[0])] = true
		if want := 1 + wire.Magic(b[0]).PayloadBytes(); len(b) != want {
			t.Errorf("%v has %d bytes, want %d", wire.Magic(b[0]), len(b), want)
		}
	}
	for m := range 256 {
		if wire.Magic(m).Known() != seen[wire.Magic(m)] {
			t.Errorf("%v: in the table %v, has an example %v", wire.Magic(m), wire.Magic(m).Known(), seen[wire.Magic(m)])
		}
		if known := wire.Magic(m).Known(); known != wire.Magic(m).SentBy(wire.SenderBoth) {
			t.Errorf("%v: known %v, but sent by somebody %v", wire.Magic(m), known, !known)
		}
	}
}

func TestEveryTruncationIsTyped(t *testing.T) {
	for _, b := range frames() {
		for n := range len(b) {
			if _, _, err := wire.Parse(b[:n]); !errors.Is(err, wire.ErrTruncated) {
				t.Errorf("%x cut to %d bytes: %v", b, n, err)
			}
		}
	}
	for _, m := range messages() {
		for n := range wire.PreludeBytes {
			if _, _, err := wire.ParsePrelude(m.bytes[:n]); !errors.Is(err, wire.ErrTruncated) {
				t.Errorf("%s cut to %d bytes: %v", m.name, n, err)
			}
		}
		p, n, err := wire.ParsePrelude(m.bytes)
		if err != nil {
			t.Fatal(err)
		}
		for cut := n; cut < len(m.bytes); cut++ {
			if err := p.Verify(m.bytes[n:cut]); !errors.Is(err, wire.ErrChecksum) {
				t.Errorf("%s: payload cut to %d bytes: %v", m.name, cut-n, err)
			}
		}
	}
}

// TestEverySingleByteChangeOfAPayloadIsSeen relies on what CRC-32C promises for a burst of 8 bits.
func TestEverySingleByteChangeOfAPayloadIsSeen(t *testing.T) {
	for _, m := range messages() {
		p, n, err := wire.ParsePrelude(m.bytes)
		if err != nil {
			t.Fatal(err)
		}
		for i := n; i < len(m.bytes); i++ {
			changed := bytes.Clone(m.bytes)
			for delta := 1; delta < 256; delta++ {
				changed[i] = m.bytes[i] ^ byte(delta)
				if err := p.Verify(changed[n:]); !errors.Is(err, wire.ErrChecksum) {
					t.Fatalf("%s: byte %d ^ %02x: %v", m.name, i, delta, err)
				}
			}
		}
	}
}

func TestRoundTripOfFrames(t *testing.T) {
	for _, b := range frames() {
		f, n, err := wire.Parse(append(bytes.Clone(b), 0x55))
		if err != nil || n != len(b) || !bytes.Equal(f.Append(nil), b) {
			t.Errorf("%x parses as %v, %d bytes, %v, and is written as %x", b, f, n, err, f.Append(nil))
		}
	}
}

func TestSizeMayFollowThePrintedDraft(t *testing.T) {
	b := wire.AppendMessage(nil, 0x02, wire.Envelope{ID: 9}, []byte("\x1a\x01x"))
	want, _, err := wire.ParsePrelude(b)
	if err != nil {
		t.Fatal(err)
	}
	b[7] = 0x21
	got, n, err := wire.ParsePrelude(b)
	if err != nil || n != wire.PreludeBytes || got != want {
		t.Fatalf("with 0x21 as size: %+v, %d, %v; want %+v", got, n, err, want)
	}
	if sent := wire.AppendPrelude(nil, got); sent[7] != 0x22 {
		t.Fatalf("the size is sent as %02x", sent[7])
	}
}

func TestHeartbeatIntervalIsRoundedUpAndCut(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		want  byte
	}{{-1, 0}, {0, 0}, {1, 1}, {time.Second, 1}, {time.Second + 1, 2}, {time.Hour, 255}} {
		if b := wire.AppendHeartbeatInterval(nil, c.every); b[1] != c.want {
			t.Errorf("%v is sent as %d, want %d", c.every, b[1], c.want)
		}
	}
}

func Example() {
	// A client's whole first flight: the pair, a service, and a request.
	flight := wire.AppendHello(nil)
	flight = wire.AppendSetupComplete(flight)
	flight = wire.AppendServiceRequest(flight, wire.ServiceKVStore)
	flight = wire.AppendMessage(flight, 0x01, wire.Envelope{ID: 1}, []byte("\x1a\x03key"))
	fmt.Printf("% x\n", flight[:4])
	fmt.Printf("% x\n", flight[4:])

	remote := wire.ErrorOf(1, fmt.Errorf("%w: bucket 7", base.ErrNotFound))
	received, err := wire.ParseError(wire.AppendError(nil, &remote))
	fmt.Println(received, err, errors.Is(received, base.ErrNotFound))
	// Output:
	// 01 03 10 03
	// 20 01 21 62 a6 16 13 22 00 00 00 00 00 00 00 07 08 01 1a 03 6b 65 79
	// not found: bucket 7 <nil> true
}

// TestChecksumIsCastagnoli uses the check value that catalogues of CRCs print for CRC-32C.
func TestChecksumIsCastagnoli(t *testing.T) {
	if got := wire.Checksum([]byte("123456789")); got != 0xE3069283 {
		t.Fatalf("%08x", got)
	}
	if got := wire.UpdateChecksum(wire.Checksum([]byte("1234")), []byte("56789")); got != 0xE3069283 {
		t.Fatalf("in two parts: %08x", got)
	}
}
