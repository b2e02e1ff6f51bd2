package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startNode(t *testing.T) *node.Node {
	t.Helper()
	settings := node.Defaults()
	settings.Dir, settings.Listen, settings.Admin = t.TempDir(), "127.0.0.1:0", "off"
	settings.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(context.Background(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func TestPutAndGet(t *testing.T) {
	n := startNode(t)
	for i, sizeByte := range []byte{0x22, 0x21} {
		var out strings.Builder
		if err := putAndGet(&out, n.Addr(), n.CertsDir(), sizeByte); err != nil {
			t.Fatalf("0x%02x before the size: %v", sizeByte, err)
		}
		if want := fmt.Sprintf("put hello: version %d\nget hello: world\n", i+1); out.String() != want {
			t.Errorf("0x%02x before the size: printed %q, want %q", sizeByte, &out, want)
		}
	}
}

func TestOtherBytesAreRefused(t *testing.T) {
	n := startNode(t)
	err := putAndGet(io.Discard, n.Addr(), n.CertsDir(), 0x23)
	// Code 16 is a protocol error, detail 0x5005 a prelude that is not type, checksum, size.
	if err == nil || !strings.Contains(err.Error(), "3:16") || !strings.Contains(err.Error(), fmt.Sprint("6:", 0x5005)) {
		t.Errorf("0x23 before the size: %v, want code 16 and detail 0x5005", err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	n, other := startNode(t), startNode(t)
	if err := putAndGet(io.Discard, n.Addr(), other.CertsDir(), 0x22); err == nil {
		t.Error("a client with certificates of another constellation was served")
	}
}
