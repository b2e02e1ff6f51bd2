package faultfs

import (
	"fmt"
	"math/rand/v2"
)

// DataLoss is what a crash does to the changes of a file since its last sync.
type DataLoss int

// Part of what a test's seed means; never renumber.
const (
	// DataDropped loses all of them: the disk has done nothing that it was not told to.
	DataDropped DataLoss = 0
	// DataPrefix keeps the first few changes of each file, chosen by the seed.
	DataPrefix DataLoss = 1
	// DataTorn keeps the first few changes of each file and a part of the next write, cut at any byte or
	// at a sector of 512 bytes. The file ends there.
	DataTorn DataLoss = 2
	// DataZeroTail is DataTorn, but the file has the length that the whole write gives it: what was cut
	// off reads as zeros. File systems that write contents before sizes (XFS, ext4 but for
	// data=writeback) never show that.
	DataZeroTail DataLoss = 3
	// DataScattered keeps each write or not, in no order, as a page cache writes back. What is missing
	// before something kept reads as zeros, which the same file systems do not show behind a file's
	// synced length.
	DataScattered DataLoss = 4
	// DataKept keeps all: the process dies, the machine does not.
	DataKept DataLoss = 5
)

// DirLoss is what a crash does to the changes of names that no sync of their directory has followed.
type DirLoss int

// Part of what a test's seed means; never renumber.
const (
	// DirsDropped loses all of them.
	DirsDropped DirLoss = 0
	// DirsPrefix keeps the first few, in the order in which they were made, chosen by the seed.
	DirsPrefix DirLoss = 1
	// DirsKept keeps all.
	DirsKept DirLoss = 2
)

// Loss says what a crash takes. The zero value takes everything that was not synced. The same loss of
// the same file system at the same moment always gives the same image.
type Loss struct {
	Data DataLoss
	Dirs DirLoss
	Seed uint64
}

// KillLoss is what the death of a process loses: nothing.
var KillLoss = Loss{Data: DataKept, Dirs: DirsKept}

// Losses is the number of kinds of loss that LossOf tells apart.
const Losses = 18

// LossOf returns the n-th kind of loss, n modulo Losses, with a seed.
func LossOf(n int, seed uint64) Loss {
	n %= Losses
	return Loss{Data: DataLoss(n % 6), Dirs: DirLoss(n / 6), Seed: seed}
}

// Zeros reports whether the loss can leave zeros where a program wrote something else, instead of a
// shorter file.
func (l Loss) Zeros() bool { return l.Data == DataZeroTail || l.Data == DataScattered }

// String prints the loss as Go code does not: "data torn, names dropped, seed 7".
func (l Loss) String() string {
	data := map[DataLoss]string{
		DataDropped: "dropped", DataPrefix: "kept to a point", DataTorn: "torn",
		DataZeroTail: "torn with zeros behind", DataScattered: "scattered", DataKept: "kept",
	}
	dirs := map[DirLoss]string{DirsDropped: "dropped", DirsPrefix: "kept to a point", DirsKept: "kept"}
	return fmt.Sprintf("data %s, names %s, seed %d", data[l.Data], dirs[l.Dirs], l.Seed)
}

// random returns a source that depends on the seed and on what it is for.
func (l Loss) random(id uint64) *rand.Rand { return rand.New(rand.NewPCG(l.Seed, id)) }

// names returns which of the pending changes of names stay.
func (l Loss) names(ops []dirOp) []dirOp {
	switch l.Dirs {
	case DirsKept:
		return ops
	case DirsPrefix:
		return ops[:l.random(0).IntN(len(ops)+1)]
	default:
		return nil
	}
}

// contents returns what is left of a file, and how many of its pending changes are. The result must
// not be changed: it may be the file's own.
func (l Loss) contents(i *inode) (left *content, kept int) {
	if len(i.pending) == 0 || l.Data == DataDropped {
		return i.durable, 0
	}
	if l.Data == DataKept {
		return i.live.clone(), len(i.pending)
	}
	rng := l.random(i.id)
	c := i.durable.clone()
	if l.Data == DataScattered {
		for k := range i.pending {
			// Sizes are kept, in order; it is the bytes that come and go.
			if op := &i.pending[k]; op.kind != dataWrite || rng.IntN(2) == 0 {
				op.apply(c)
				kept++
			}
		}
		return c, kept
	}
	kept = rng.IntN(len(i.pending) + 1)
	for k := range i.pending[:kept] {
		i.pending[k].apply(c)
	}
	if l.Data != DataPrefix && kept < len(i.pending) {
		tear(c, &i.pending[kept], rng, l.Data == DataZeroTail)
	}
	return c, kept
}

// tear applies a part of a write; with zeros the file is as long as after all of it.
func tear(c *content, op *dataOp, rng *rand.Rand, zeros bool) {
	if op.kind != dataWrite || len(op.data) == 0 {
		return
	}
	const sector = 512
	cut := rng.IntN(len(op.data))
	if rng.IntN(2) == 0 {
		// The tear lies at a multiple of the sector in the file, not in the write.
		cut = max(0, int((op.off+int64(cut))/sector*sector-op.off))
	}
	c.writeAt(op.data[:cut], op.off)
	if zeros {
		c.size = max(c.size, op.off+int64(len(op.data)))
	}
}
