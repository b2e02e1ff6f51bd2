package engine

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
)

// ErrClaimed says that somebody else of this process writes to the shard incarnation already.
var ErrClaimed = base.New(base.ErrConflict, "engine: the shard has a writer")

// Claim is the token of a layer that must be a shard incarnation's only writer, because it keeps
// locks or caches of its contents. Make one per writer; the address is what counts.
type Claim struct {
	// Holder names the writer in the error that others get.
	Holder string
}

// Claim makes c the holder of the shard's claim, or finds that it is already; it costs one load then.
// ErrClaimed when another token holds it. The engine itself does not look at claims: they bind those
// who ask.
func (s *Shard) Claim(c *Claim) (fresh bool, err error) {
	if s.claim.Load() == c {
		return false, nil
	}
	if s.claim.CompareAndSwap(nil, c) {
		return true, nil
	}
	if have := s.claim.Load(); have != nil && have != c {
		return false, fmt.Errorf("%w: %s is held by %s; use that one, or close it first", ErrClaimed, s.describe(), have.Holder)
	}
	return s.Claim(c) // given back, or ours, between the two looks
}

// Unclaim gives the claim back if c holds it.
func (s *Shard) Unclaim(c *Claim) { s.claim.CompareAndSwap(c, nil) }
