package crashtest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// The witness is the file on which the program under test notes what was acknowledged to it. It lies on
// the mount, beside the store, so that its length at a sync point says exactly what had been
// acknowledged by then: the file system sees both in one order, while a pipe would be read late.
//
//	record: writer(4 BE) | op(4 BE), the number of the writer's operation, from 0, without gaps
//
// Records never cross a page, where the kernel may cut a write in two.
const (
	witnessName   = "witness"
	witnessRecord = 8
)

// Witness notes acknowledgements. Its methods are safe for concurrent use.
type Witness struct{ f *os.File }

// OpenWitness opens the witness on the mount at dir.
func OpenWitness(dir string) (*Witness, error) {
	f, err := os.OpenFile(filepath.Join(dir, witnessName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &Witness{f: f}, nil
}

// Ack notes that operation op of a writer was acknowledged.
func (w *Witness) Ack(writer, op int) error {
	var b [witnessRecord]byte
	binary.BigEndian.PutUint32(b[:], uint32(writer))
	binary.BigEndian.PutUint32(b[4:], uint32(op))
	_, err := w.f.Write(b[:])
	return err
}

// Acks is how many operations of each writer were acknowledged.
type Acks map[int]int

// parseAcks counts the records of a witness.
func parseAcks(b []byte) (Acks, error) {
	acks := Acks{}
	for len(b) >= witnessRecord {
		writer, op := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
		if op != acks[writer] {
			return nil, fmt.Errorf("crashtest: writer %d acknowledged operation %d after %d operations", writer, op, acks[writer])
		}
		acks[writer]++
		b = b[witnessRecord:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("crashtest: the witness ends in %d odd bytes", len(b))
	}
	return acks, nil
}
