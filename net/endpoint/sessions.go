package endpoint

import (
	"crypto/tls"
	"strconv"
	"sync/atomic"
)

// maxSessions is how many tickets the own cache keeps.
const maxSessions = 1024

// sessions keeps the session tickets of servers. A generation in front of each key makes it possible to forget all of them
// in a cache that has no such method.
type sessions struct {
	cache      tls.ClientSessionCache
	generation atomic.Uint64
}

func newSessions(cache tls.ClientSessionCache) *sessions {
	if cache == nil {
		cache = tls.NewLRUClientSessionCache(maxSessions)
	}
	return &sessions{cache: cache}
}

// forget makes all tickets unreachable.
func (s *sessions) forget() { s.generation.Add(1) }

// of returns the cache of one peer, whatever name TLS looks for. A ticket that arrives after forget belongs to the
// generation in which its connection was dialled.
func (s *sessions) of(key string) tls.ClientSessionCache {
	return &session{s, strconv.FormatUint(s.generation.Load(), 10) + " " + key}
}

type session struct {
	all *sessions
	key string
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) { return s.all.cache.Get(s.key) }

func (s *session) Put(_ string, state *tls.ClientSessionState) { s.all.cache.Put(s.key, state) }
