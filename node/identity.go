package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

// record is what a node's directory says about whose it is: it is written by the first start, and every later one has to
// come with a certificate of the same node. Part of the format; never renumber.
//
//	 0        1     2            2+n   3+n        3+n+m        35+n+m       67+n+m
//	+--------+-----+------------+-----+----------+------------+------------+
//	| format | n   | constel-   | m   | node id  | stateless  | token key  |
//	| 01     |     | lation     |     |          | reset key  |            |
//	+--------+-----+------------+-----+----------+------------+------------+
type record struct {
	constellation, node string
	// resetKey and tokenKey are QUIC's secrets that have to outlive a restart, see endpoint.Options.
	resetKey, tokenKey [32]byte
}

const recordFormat = 1

var recordKey = []byte{keys.LocalIdentity}

func (r *record) append(dst []byte) []byte {
	dst = append(dst, recordFormat, byte(len(r.constellation)))
	dst = append(dst, r.constellation...)
	dst = append(dst, byte(len(r.node)))
	dst = append(dst, r.node...)
	dst = append(dst, r.resetKey[:]...)
	return append(dst, r.tokenKey[:]...)
}

// parseRecord reads a record; b is not kept. Errors match base.ErrVersion and base.ErrCorruption.
func parseRecord(b []byte) (*record, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: the node's identity is empty", base.ErrCorruption)
	}
	if b[0] != recordFormat {
		return nil, fmt.Errorf("%w: the node's identity has the format %d", base.ErrVersion, b[0])
	}
	var r record
	rest := b[1:]
	for _, s := range []*string{&r.constellation, &r.node} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return nil, fmt.Errorf("%w: the node's identity is cut off", base.ErrCorruption)
		}
		*s, rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	if len(rest) != len(r.resetKey)+len(r.tokenKey) {
		return nil, fmt.Errorf("%w: the node's identity has %d bytes of keys", base.ErrCorruption, len(rest))
	}
	copy(r.resetKey[:], rest)
	copy(r.tokenKey[:], rest[len(r.resetKey):])
	return &r, nil
}

// identify returns the record of the directory; the first time it is made for node of constellation. Error: ErrWrongNode.
func identify(ctx context.Context, eng *engine.Engine, constellation, node string) (*record, error) {
	stored, err := eng.Local().Get(nil, recordKey, nil)
	if err == nil {
		r, err := parseRecord(stored)
		if err != nil {
			return nil, fmt.Errorf("node: %s: %w", eng.Dir(), err)
		}
		if r.node != node || r.constellation != constellation {
			return nil, fmt.Errorf("%w: %s is that of node %s of constellation %s, the certificate is for node %s of %s",
				ErrWrongNode, eng.Dir(), r.node, r.constellation, node, constellation)
		}
		return r, nil
	}
	if !errors.Is(err, base.ErrNotFound) {
		return nil, fmt.Errorf("node: reading the identity: %w", err)
	}
	r := &record{constellation: constellation, node: node}
	for _, key := range [][]byte{r.resetKey[:], r.tokenKey[:]} {
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
	}
	batch := eng.NewBatch()
	defer batch.Close()
	if err := batch.Put(eng.Local(), recordKey, r.append(nil)); err != nil {
		return nil, err
	}
	// A node on a full disk still starts, so that what is there can be read and removed.
	if err := eng.Commit(ctx, batch, engine.Sync|engine.Reclaim); err != nil {
		return nil, fmt.Errorf("node: storing the identity: %w", err)
	}
	return r, nil
}
