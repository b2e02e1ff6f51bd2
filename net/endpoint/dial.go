package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/net/certs"
)

// DialOptions say whom to expect. nil is a client that takes any node.
type DialOptions struct {
	// ALPN is ALPNClient or ALPNNode. Empty: ALPNClient.
	ALPN string
	// Name is the node id that the peer's certificate must have. Empty: any node that is reached by the dialled host.
	Name string
}

func (o *DialOptions) filled() (DialOptions, error) {
	var out DialOptions
	if o != nil {
		out = *o
	}
	if out.ALPN == "" {
		out.ALPN = ALPNClient
	}
	if out.ALPN != ALPNClient && out.ALPN != ALPNNode {
		return out, fmt.Errorf("%w: ALPN %q is neither %s nor %s", ErrOptions, out.ALPN, ALPNClient, ALPNNode)
	}
	return out, nil
}

// maxAddresses is how many addresses of one host are tried.
const maxAddresses = 4

// Dial opens a connection to a node at host:port. With a session ticket and Options.Early it returns at once, and what is
// sent before the handshake is done is early data. Errors: ErrAddress, ErrUnreachable, ErrPeerCertificate (which wraps what
// package certs says), ErrOwnCertificate, ErrALPN, ErrRefused, ErrClosed, those of ctx. That a node refuses our certificate
// may show only after Dial, as Conn.Err: TLS 1.3 ends the client's handshake first.
func (e *Endpoint) Dial(ctx context.Context, addr string, opts *DialOptions) (*Conn, error) {
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	e.count.dials.Add(1)
	host, addrs, err := e.resolve(ctx, addr)
	if err != nil {
		e.count.failed(err)
		return nil, err
	}
	for _, a := range addrs {
		var c *Conn
		if c, err = e.dial(ctx, a, host, o); err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	e.count.failed(err)
	return nil, fmt.Errorf("dialling %s: %w", addr, err)
}

func (e *Endpoint) dial(ctx context.Context, addr netip.AddrPort, host string, o DialOptions) (*Conn, error) {
	if e.ctx.Err() != nil {
		return nil, ErrClosed
	}
	want := certs.Peer{Role: certs.RoleNode, Name: o.Name}
	if o.Name == "" {
		want.Host = host
	}
	conf := e.certs.ClientTLS(o.ALPN, want)
	if e.keylog != nil {
		conf.KeyLogWriter = e.keylog
	}
	qconf := e.conf.Clone()
	dial := e.tr.Dial
	if o.ALPN == ALPNClient {
		key := addr.String() + " " + o.Name
		conf.ClientSessionCache = e.sessions.of(key)
		qconf.TokenStore = tokens{e.conf.TokenStore, key}
		if e.early {
			dial = e.tr.DialEarly
		}
	} else {
		qconf.TokenStore = nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(e.ctx, func() { cancel(ErrClosed) })
	defer stop()
	qc, err := dial(ctx, net.UDPAddrFromAddrPort(addr), conf, qconf)
	if err != nil {
		return nil, dialReason(err)
	}
	c := &Conn{dialled: true, want: want}
	select {
	case <-qc.HandshakeComplete():
		e.count.handshakes.Add(1)
	default:
		c.early = true
	}
	if c = e.adopt(qc, c); c == nil {
		return nil, ErrClosed
	}
	e.count.dialled.Add(1)
	if c.alpn == "" {
		c.alpn = o.ALPN // early: TLS will hold the server to it
	}
	if c.early && !e.goes(c.watchEarly) {
		return nil, ErrClosed
	}
	return c, nil
}

// goes starts fn, which ends with wg.Done; false: the endpoint is closed.
func (e *Endpoint) goes(fn func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return false
	}
	e.wg.Add(1)
	go fn()
	return true
}

// dialReason names why a dial failed; a peer that is silent from the beginning is unreachable, not gone.
func dialReason(err error) error {
	if err = reasonOf(err); errors.Is(err, ErrGone) {
		return ErrUnreachable
	}
	return err
}

// resolve returns the host and the addresses of addr that the socket can send to.
func (e *Endpoint) resolve(ctx context.Context, addr string) (string, []netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return "", nil, fmt.Errorf("%w: %s: the port is a number from 1 to 65535", ErrAddress, addr)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	local := e.Addr().Addr()
	var out []netip.AddrPort
	for _, ip := range ips {
		ip = ip.Unmap()
		if (local.Is4() && !ip.Is4()) || len(out) == maxAddresses {
			continue
		}
		out = append(out, netip.AddrPortFrom(ip, uint16(port)))
	}
	if len(out) == 0 {
		return "", nil, fmt.Errorf("%w: %s has no address that %v can send to", ErrAddress, addr, local)
	}
	return host, out, nil
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}

// tokens keeps address tokens under a key of ours: several nodes may share a name.
type tokens struct {
	quic.TokenStore
	key string
}

func (t tokens) Pop(string) *quic.ClientToken        { return t.TokenStore.Pop(t.key) }
func (t tokens) Put(_ string, tok *quic.ClientToken) { t.TokenStore.Put(t.key, tok) }

var _ tls.ClientSessionCache = (*session)(nil)
