// Rawclient is a client on a bare QUIC library, for people who write one in another language. It was written from
// docs/protocol.md, follows the numbers of "A client, step by step", and puts a value and gets it back:
//
//	go run ./examples/rawclient -addr 127.0.0.1:7420 -certs pleiades-data/certs
//
// A real one would have many requests under way (their ids tell the answers apart), put in sessions, and dial anew.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7420", "`HOST:PORT` of a node")
	certs := flag.String("certs", "pleiades-data/certs", "`DIR` with ca.crt, client.root.crt and client.root.key")
	sizeByte := flag.Uint("size-byte", 0x22, "the byte before a size: 0x22, or 0x21 as in the printed draft")
	flag.Parse()
	if err := putAndGet(os.Stdout, *addr, *certs, byte(*sizeByte)); err != nil {
		log.Fatalf("rawclient: %v", err)
	}
}

func putAndGet(out io.Writer, addr, certs string, sizeByte byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// 1. Dial, with a certificate. TLS checks that the address is one of the node's certificate.
	ca, err := os.ReadFile(filepath.Join(certs, "ca.crt"))
	if err != nil {
		return err
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(certs, "client.root.crt"), filepath.Join(certs, "client.root.key"))
	if err != nil {
		return err
	}
	config := &tls.Config{NextProtos: []string{"pwp/1"}, RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{own}}
	config.RootCAs.AppendCertsFromPEM(ca)
	conn, err := quic.DialAddr(ctx, addr, config, &quic.Config{MaxIncomingStreams: 100, MaxIncomingUniStreams: -1})
	if err != nil {
		return err
	}
	defer conn.CloseWithError(0, "") //nolint:errcheck // the answers are in hand
	// 2. Stream N: HELLO, STREAM_SETUP_COMPLETE, SERVICE_TYPE_REQUEST. When writing fails, reading says why.
	up, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	up.Write([]byte{0x01, 0x03, 0x10, 0x03})
	// 3. Stream N+1, the only one that comes, as there is one pair. What the node says on N is known.
	down, err := conn.AcceptStream(ctx)
	if err != nil {
		return err
	}
	down.Close()
	up.CancelRead(0)
	context.AfterFunc(ctx, func() { down.CancelRead(0) })
	// 4. HELLO, SERVICE_TYPE_RESPONSE.
	p := &pair{up: up, down: bufio.NewReader(down), sizeByte: sizeByte}
	if _, err := p.expect(0x01); err != nil {
		return err
	}
	if ready, err := p.expect(0x11); err != nil || ready[0] != 0 {
		_, err = p.expect(0xff) // CLOSE, or an error that says why
		return fmt.Errorf("the service is refused: %d: %w", ready, err)
	}
	put, got := &kvstorev1.WriteResponse{}, &kvstorev1.GetResponse{}
	if err := p.call(0x03, &kvstorev1.PutRequest{Key: []byte("hello"), Value: []byte("world")}, put); err != nil {
		return err
	}
	if err := p.call(0x01, &kvstorev1.GetRequest{Key: []byte("hello")}, got); err != nil {
		return err
	}
	fmt.Fprintf(out, "put hello: version %d\nget hello: %s\n", put.GetVersion(), got.GetValue())
	up.Write([]byte{0xff}) // 7. CLOSE and the end of N; then CLOSE of the node.
	up.Close()
	_, err = p.expect(0xff)
	return err
}

// pair is a stream of requests, N, and the stream of their answers, N+1.
type pair struct {
	up       *quic.Stream
	down     *bufio.Reader
	sizeByte byte
	lastID   uint64
}

// call sends a request (step 5) and waits for its answer.
func (p *pair) call(kind byte, req, resp proto.Message) error {
	p.lastID++
	body, err := proto.MarshalOptions{}.MarshalAppend(binary.AppendUvarint([]byte{0x08}, p.lastID), req)
	if err != nil {
		return err
	}
	prelude := binary.BigEndian.AppendUint32([]byte{0x20, kind, 0x21}, checksum(body))
	p.up.Write(append(binary.BigEndian.AppendUint64(append(prelude, p.sizeByte), uint64(len(body))), body...))
	if body, err = p.expect(0x20); err != nil {
		return err
	}
	return proto.Unmarshal(body, resp)
}

// expect reads one frame or message (step 6), which has to begin with this byte, and returns its payload or protobuf bytes.
func (p *pair) expect(want byte) ([]byte, error) {
	magic, err := p.down.ReadByte()
	if err != nil {
		return nil, err
	}
	payload := make([]byte, map[byte]int{0x11: 1, 0x20: 15, 0xd0: 8}[magic])
	if _, err := io.ReadFull(p.down, payload); err != nil || magic != 0x20 && magic == want {
		return payload, err
	}
	if magic == 0xd0 { // a latency test
		p.up.Write(append([]byte{0xd1}, payload...))
		return p.expect(want)
	}
	if magic != 0x20 || binary.BigEndian.Uint64(payload[7:]) > 17<<20 {
		return nil, fmt.Errorf("0x%02x %x where 0x%02x is expected", magic, payload, want)
	}
	body := make([]byte, binary.BigEndian.Uint64(payload[7:]))
	if _, err := io.ReadFull(p.down, body); err != nil || checksum(body) != binary.BigEndian.Uint32(payload[2:]) {
		return nil, fmt.Errorf("a message of type 0x%02x is cut or does not have its checksum (%v)", payload[0], err)
	}
	if payload[0] == 0x00 || magic != want {
		fields := &emptypb.Empty{} // prints all fields by number: 3 is the code, 4 the text, see "Errors"
		proto.Unmarshal(body, fields)
		return nil, fmt.Errorf("error message: %v", fields)
	}
	return body, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
