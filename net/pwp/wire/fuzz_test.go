package wire_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// FuzzFrames walks bytes as frames and messages, as a reader does, and checks the invariants of doc.go.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, b := range frames() {
		all = append(all, b...)
		f.Add(b)
	}
	for _, m := range messages() {
		all = append(all, m.bytes...)
		f.Add(m.bytes)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			n := walkOne(t, b)
			if n == 0 {
				return
			}
			b = b[n:]
		}
	})
}

// walkOne checks what stands at the beginning of b and returns its size, 0 at the end or at an error.
func walkOne(t *testing.T, b []byte) int {
	if wire.Magic(b[0]) == wire.MagicPayloadType {
		if p, n, err := wire.ParsePrelude(b); err == nil {
			want := bytes.Clone(b[:n])
			want[7] = byte(wire.MagicPayloadSize)
			if got := wire.AppendPrelude(nil, p); !bytes.Equal(got, want) {
				t.Fatalf("%x is written as %x", want, got)
			}
			if p.Check(wire.DefaultMaxMessageBytes) != nil || uint64(len(b)-n) < p.SizeBytes {
				return 0
			}
			return n + int(p.SizeBytes)
		} else if !errors.Is(err, wire.ErrTruncated) && !errors.Is(err, wire.ErrBadPrelude) {
			t.Fatalf("untyped: %v", err)
		}
		return 0
	}
	frame, n, err := wire.Parse(b)
	if err != nil {
		if wire.CloseCodeOf(err) == wire.CloseInternal {
			t.Fatalf("untyped: %v", err)
		}
		return 0
	}
	if got := frame.Append(nil); !bytes.Equal(got, b[:n]) {
		t.Fatalf("%x is written as %x", b[:n], got)
	}
	for cut := range n {
		if _, _, err := wire.Parse(b[:cut]); !errors.Is(err, wire.ErrTruncated) {
			t.Fatalf("%x: %v", b[:cut], err)
		}
	}
	return n
}

// FuzzMessage gives every reader of protobuf bytes the same input.
func FuzzMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(m.bytes[wire.PreludeBytes:])
	}
	f.Add([]byte("\x1a\x03key\x08\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		id, err := wire.ParseResponse(msg)
		agree(t, msg, id, err)
		if e, err := wire.ParseRequest(msg); err == nil {
			if e.ID == 0 || e.Timeout < 0 || e.Timeout > wire.MaxTimeout {
				t.Fatalf("%x: %+v", msg, e)
			}
			if again, err := wire.ParseRequest(wire.AppendEnvelope(nil, e)); err != nil || again != e {
				t.Fatalf("%+v comes back as %+v, %v", e, again, err)
			}
		}
		if e, err := wire.ParseError(msg); err == nil {
			if len(e.Text) > wire.MaxErrorTextBytes || e.Code == 0 || e.RetryAfter < 0 || e.RetryAfter > wire.MaxTimeout {
				t.Fatalf("%x: %+v", msg, e)
			}
			if again, err := wire.ParseError(wire.AppendError(nil, e)); err != nil || *again != *e {
				t.Fatalf("%+v comes back as %+v, %v", e, again, err)
			}
		}
	})
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		b.Run("size="+sizeName(size), func(b *testing.B) {
			body := make([]byte, size)
			var dst []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				dst = wire.AppendMessage(dst[:0], 1, wire.Envelope{ID: 1 << 20, Timeout: time.Second}, body)
			}
		})
	}
}

func BenchmarkParseMessage(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		b.Run("size="+sizeName(size), func(b *testing.B) {
			body := append([]byte{0x1a, byte(size&0x7f | 0x80), byte(size>>7&0x7f | 0x80), byte(size >> 14)}, make([]byte, size)...)
			msg := wire.AppendMessage(nil, 1, wire.Envelope{ID: 1 << 20, Timeout: time.Second}, body)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				p, n, err := wire.ParsePrelude(msg)
				if err == nil {
					err = p.Verify(msg[n:])
				}
				if err == nil {
					_, err = wire.ParseRequest(msg[n:])
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func sizeName(n int) string {
	if n >= 1<<10 {
		return strconv.Itoa(n>>10) + "k"
	}
	return strconv.Itoa(n)
}
