package certs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ticketKeyAge is how long a session ticket key seals new tickets; the one before it still opens old ones.
const ticketKeyAge = 12 * time.Hour

// SourceOptions are the options of Open. Nil is all zero.
type SourceOptions struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Source is the live certificate of one node or client and the CAs it trusts. Make one with Open. All methods may be
// called from any goroutine.
type Source struct {
	dir  string
	leaf Leaf
	now  func() time.Time

	live   atomic.Pointer[live] // nil after Close
	reload sync.Mutex           // held by Reload while it reads and calls the hooks; taken before mu
	mu     struct {             // guards every store to live
		sync.Mutex
		hooks map[uint64]func(removedCAs bool)
		next  uint64
	}
}

// live is what a Source holds at one moment. It is never changed, only replaced: as long as the pointer is the same, so
// is everything behind it.
type live struct {
	creds   *credentials
	tickets *ticketKeys
}

// ticketKeys seal session tickets: the newest first.
type ticketKeys struct {
	keys [][32]byte
	made time.Time
}

// Open reads the certificate of leaf, its key and the trusted CAs in dir. The certificate must be signed by one of them
// and be valid now. Close it when nothing uses its configurations any more.
//
// Errors: ErrNoCA, ErrNoCertificate, ErrKeyMode, ErrKeyMismatch, ErrBadCertificate, ErrUnknownCA, ErrExpired,
// ErrNotYetValid, ErrWrongRole, ErrName, and those of reading a file.
func Open(dir string, leaf Leaf, o *SourceOptions) (*Source, error) {
	if err := leaf.check(); err != nil {
		return nil, err
	}
	s := &Source{dir: dir, leaf: leaf, now: time.Now}
	if o != nil && o.Now != nil {
		s.now = o.Now
	}
	creds, err := s.load()
	if err != nil {
		return nil, err
	}
	s.live.Store(&live{creds: creds, tickets: newTickets(nil, s.now())})
	s.mu.hooks = map[uint64]func(bool){}
	return s, nil
}

// load reads and checks the directory; again when what it read does not fit, since a writer may be at work.
func (s *Source) load() (c *credentials, err error) {
	for range readAttempts {
		if c, err = s.loadOnce(); !errors.Is(err, ErrUnknownCA) {
			break
		}
	}
	return c, err
}

func (s *Source) loadOnce() (*credentials, error) {
	cas, err := readCAs(s.dir)
	if err != nil {
		return nil, err
	}
	cert, key, err := readPair(s.dir, string(s.leaf), ErrNoCertificate)
	if err != nil {
		return nil, err
	}
	c := &credentials{cas: cas, pool: x509.NewCertPool()}
	for _, ca := range cas {
		c.pool.AddCert(ca)
	}
	c.cert = tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	path := filepath.Join(s.dir, string(s.leaf)+certExt)
	if c.id, err = IdentityOf(cert); err != nil {
		return nil, failBy(ErrBadCertificate, err, fixRenew, "%s", path)
	}
	if c.id.Role != s.leaf.Role() || c.id.Role == RoleClient && s.leaf != ClientLeaf(c.id.Name) {
		return nil, fail(ErrWrongRole, "give the file its own name back, or make it anew: pleiades cert", "%s holds the certificate of %s", path, c.id)
	}
	if _, err := c.verify(cert, path, s.now()); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the directory again and says whether anything is different. New handshakes use what it found; connections
// that are open are the business of OnChange. On an error the Source goes on with what it has: the files may be half
// copied, and the next Reload may find them whole. ErrIdentityChanged when they stand for somebody else.
func (s *Source) Reload() (changed bool, err error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	before := s.live.Load()
	if before == nil {
		return false, s.closed()
	}
	creds, err := s.load()
	if err != nil {
		return false, err
	}
	if !creds.id.Same(before.creds.id) {
		return false, fail(ErrIdentityChanged, "restart the process to use them, or put its own files back",
			"%s holds %s, and this process is %s", s.dir, creds.id, before.creds.id)
	}
	if creds.equal(before.creds) {
		return false, nil
	}
	removed := creds.lacks(before.creds.cas)
	s.mu.Lock()
	cur := s.live.Load()
	if cur == nil {
		s.mu.Unlock()
		return false, s.closed()
	}
	tickets := cur.tickets
	if removed {
		tickets = newTickets(nil, s.now())
	}
	s.live.Store(&live{creds: creds, tickets: tickets})
	hooks := s.hooksLocked()
	s.mu.Unlock()
	for _, hook := range hooks {
		hook(removed)
	}
	return true, nil
}

// hooksLocked returns the hooks in the order in which they were added.
func (s *Source) hooksLocked() []func(bool) {
	ids := make([]uint64, 0, len(s.mu.hooks))
	for id := range s.mu.hooks {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	hooks := make([]func(bool), len(ids))
	for i, id := range ids {
		hooks[i] = s.mu.hooks[id]
	}
	return hooks
}

func (s *Source) closed() error {
	return fail(ErrClosed, "open it again", "%s of %s", s.leaf, s.dir)
}

func (c *credentials) equal(o *credentials) bool {
	return slices.Equal(c.cert.Certificate[0], o.cert.Certificate[0]) &&
		slices.EqualFunc(c.cas, o.cas, func(a, b *x509.Certificate) bool { return a.Equal(b) })
}

// lacks reports whether any of cas is not trusted.
func (c *credentials) lacks(cas []*x509.Certificate) bool {
	for _, ca := range cas {
		if !slices.ContainsFunc(c.cas, ca.Equal) {
			return true
		}
	}
	return false
}

// Watch calls Reload every so often until ctx ends or the Source is closed. report, if not nil, gets every result that
// changed something or failed. It runs on the caller's goroutine. every must be above zero; a second is cheap.
func (s *Source) Watch(ctx context.Context, every time.Duration, report func(changed bool, err error)) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		changed, err := s.Reload()
		if report != nil && (changed || err != nil) {
			report(changed, err)
		}
		if errors.Is(err, ErrClosed) {
			return
		}
	}
}

// OnChange calls fn after every Reload that changed something, on the goroutine of that Reload, one call at a time.
// removedCAs says that a CA is no longer trusted: who keeps sessions or connections then ends those for which VerifyPeer
// fails. fn must not call Reload, nor the returned function, which removes it.
func (s *Source) OnChange(fn func(removedCAs bool)) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.mu.next
	s.mu.next++
	s.mu.hooks[id] = fn
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.hooks, id)
	}
}

// Identity returns whom the Source stands for, with the validity of the certificate now in use; zero after Close.
func (s *Source) Identity() Identity {
	if l := s.live.Load(); l != nil {
		return l.creds.id
	}
	return Identity{}
}

// Close ends the Source: handshakes with its configurations fail with ErrClosed from now on. It waits for a Reload that
// runs. A second Close does nothing.
func (s *Source) Close() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.Store(nil)
	clear(s.mu.hooks)
	return nil
}

// current returns what is live, with ticket keys that are fresh enough; nil after Close.
func (s *Source) current() *live {
	l, now := s.live.Load(), s.now()
	if l == nil || !l.tickets.old(now) {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l = s.live.Load(); l != nil && l.tickets.old(now) {
		l = &live{creds: l.creds, tickets: newTickets(l.tickets, now)}
		s.live.Store(l)
	}
	return l
}

func (t *ticketKeys) old(now time.Time) bool {
	age := now.Sub(t.made)
	return age >= ticketKeyAge || age < 0
}

// newTickets makes a new key and keeps the newest of before, unless that has not been in use for twice its time.
func newTickets(before *ticketKeys, now time.Time) *ticketKeys {
	t := &ticketKeys{keys: make([][32]byte, 1, 2), made: now}
	_, _ = rand.Read(t.keys[0][:]) // never fails (crypto/rand)
	if before != nil && now.Sub(before.made) < 2*ticketKeyAge && !now.Before(before.made) {
		t.keys = append(t.keys, before.keys[0])
	}
	return t
}
