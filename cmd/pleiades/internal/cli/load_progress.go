package cli

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/keys"
)

// An unfinished load leaves one record in the node-local storage, written in the same atomic batch as the
// records that it counts, so that it is never ahead of them nor behind:
//
//	key    'l' | shard 8 BE | bucket 8 BE | identity 16
//	value  format 1, = 01 | records 8 BE | time 8 BE, unix nanoseconds | digest 32
//
// The identity is a hash of the input's name and of how it is read; the digest is a chain of
// SHA-256 over the first records of it. A later run that reads the same records up to there goes on behind them; one that reads others
// starts over.
const (
	progressNamespace = keys.LocalLoad
	progressFormat    = 1
	progressBytes     = 1 + 8 + 8 + sha256.Size
	identityBytes     = 16
	// maxProgress bounds how many unfinished loads are remembered; beyond it the oldest is forgotten.
	maxProgress = 100
)

// loadProgress is how far an unfinished load came.
type loadProgress struct {
	records uint64
	at      time.Time
	digest  [sha256.Size]byte
}

func (p *loadProgress) append(dst []byte) []byte {
	dst = append(dst, progressFormat)
	dst = binary.BigEndian.AppendUint64(dst, p.records)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.at.UnixNano()))
	return append(dst, p.digest[:]...)
}

func parseProgress(b []byte) (p loadProgress, err error) {
	switch {
	case len(b) == 0:
		return p, fmt.Errorf("%w: empty", base.ErrCorruption)
	case b[0] != progressFormat:
		return p, fmt.Errorf("%w: format %d", base.ErrVersion, b[0])
	case len(b) != progressBytes:
		return p, fmt.Errorf("%w: %d bytes, not %d", base.ErrCorruption, len(b), progressBytes)
	}
	p.records = binary.BigEndian.Uint64(b[1:])
	p.at = time.Unix(0, int64(binary.BigEndian.Uint64(b[9:])))
	copy(p.digest[:], b[17:])
	return p, nil
}

// progressKey is where the progress of this load is kept.
func (a *App) progressKey(name string, format record.Format, f *loadFlags) []byte {
	h := sha256.New()
	template := ""
	if f.template != nil {
		template = f.template.String()
	}
	for _, s := range []string{name, string(format), template, f.valueField} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	key := []byte{progressNamespace}
	key = binary.BigEndian.AppendUint64(key, uint64(a.shardID()))
	key = binary.BigEndian.AppendUint64(key, uint64(a.bucketID()))
	return append(key, h.Sum(nil)[:identityBytes]...)
}

// readProgress returns the progress of an unfinished load, or nil. One that cannot be read is as good as none.
func (a *App) readProgress(eng *engine.Engine, key []byte) (*loadProgress, error) {
	b, err := eng.Local().Get(nil, key, nil)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := parseProgress(b)
	if err != nil {
		a.note("the progress of an earlier run cannot be read (%v): starting over", err)
		return nil, nil
	}
	return &p, nil
}

// forgetOldest adds to the batch the removal of the oldest progress when there are too many.
func forgetOldest(eng *engine.Engine, b *engine.Batch) (err error) {
	it, err := eng.Local().NewIterator(&engine.IterOptions{Lower: []byte{progressNamespace}, Upper: []byte{progressNamespace + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	n := 0
	var oldest []byte
	var when time.Time
	for ok := it.First(); ok; ok = it.Next() {
		n++
		p, err := parseProgress(it.Value()) // an unreadable one has the zero time: it goes first
		if oldest == nil || err != nil || p.at.Before(when) {
			oldest, when = append(oldest[:0], it.Key()...), p.at
		}
	}
	if err := it.Err(); err != nil || n < maxProgress {
		return err
	}
	return b.Delete(eng.Local(), oldest)
}

// digester hashes records as they are consumed. It is a value: a copy goes its own way.
type digester struct {
	sum [sha256.Size]byte
	n   uint64
}

// add makes d the digest of what it was of and one record more: a hash over the earlier digest and the record.
func (d *digester) add(key, value []byte, v *dump.Version) {
	var head [sha256.Size + 8 + 8 + hlc.EncodedBytes]byte
	n := copy(head[:], d.sum[:])
	binary.BigEndian.PutUint64(head[n:], uint64(len(key)))
	binary.BigEndian.PutUint64(head[n+8:], uint64(len(value)))
	if v != nil {
		copy(head[n+16:], v.Timestamp.AppendBinary(nil))
	}
	h := sha256.New() // its writes never fail
	h.Write(head[:])
	h.Write(key)
	h.Write(value)
	h.Sum(d.sum[:0])
	d.n++
}

func (d *digester) progress(now time.Time) *loadProgress {
	return &loadProgress{records: d.n, at: now, digest: d.sum}
}
