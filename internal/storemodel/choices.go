package storemodel

// Choices is where a Driver's decisions come from; a *rand.Rand is one.
type Choices interface {
	// IntN returns a number in [0, n); n is above 0.
	IntN(n int) int
}

// Bytes makes choices out of a fuzzer's input: one byte for a choice among up to 256, two for more. When the input is
// used up every choice is 0.
type Bytes struct{ rest []byte }

// NewBytes returns choices that read input, which must not change meanwhile.
func NewBytes(input []byte) *Bytes { return &Bytes{rest: input} }

// IntN implements Choices.
func (b *Bytes) IntN(n int) int {
	v := int(b.next())
	if n > 256 {
		v = v<<8 | int(b.next())
	}
	return v % n
}

// Len returns how many bytes are left.
func (b *Bytes) Len() int { return len(b.rest) }

// Take cuts off the next n bytes, or what is left of them. They alias the input.
func (b *Bytes) Take(n int) []byte {
	n = min(n, len(b.rest))
	taken := b.rest[:n:n]
	b.rest = b.rest[n:]
	return taken
}

func (b *Bytes) next() byte {
	if len(b.rest) == 0 {
		return 0
	}
	v := b.rest[0]
	b.rest = b.rest[1:]
	return v
}
