package versioning

import (
	"context"
	"fmt"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// NewClock returns a clock whose upper bound is kept in the engine's node-local storage, so that no
// timestamp is ever issued twice, not even across kill -9. opts may be nil; its Bound is replaced.
// Close the clock before the engine. One clock serves all stores of an engine; two at a time would
// issue the same timestamps. Errors: those of hlc.NewClock, among them hlc.ErrClockBehind when the
// wall clock was set back.
func NewClock(eng *engine.Engine, opts *hlc.Options) (*hlc.Clock, error) {
	var o hlc.Options
	if opts != nil {
		o = *opts
	}
	o.Bound = &clockBound{eng: eng}
	return hlc.NewClock(&o)
}

// clockBound keeps the clock's bound in the record 'h' of node-local storage: 12 bytes, as
// hlc.Timestamp.AppendBinary writes them.
type clockBound struct{ eng *engine.Engine }

var _ hlc.BoundStore = (*clockBound)(nil)

func (c *clockBound) LoadBound() (hlc.Timestamp, error) {
	stored, err := c.eng.Local().Get(nil, []byte{keys.LocalClockBound}, nil)
	if isMissing(err) {
		return hlc.Timestamp{}, nil
	}
	if err != nil {
		return hlc.Timestamp{}, err
	}
	return hlc.ParseBinary(stored)
}

func (c *clockBound) StoreBound(bound hlc.Timestamp) error {
	batch := c.eng.NewBatch()
	defer batch.Close()
	if err := batch.Put(c.eng.Local(), []byte{keys.LocalClockBound}, bound.AppendBinary(nil)); err != nil {
		return err
	}
	if err := c.eng.Commit(context.Background(), batch, engine.Sync|engine.Reclaim); err != nil {
		return fmt.Errorf("store the clock's bound %s: %w", bound, err)
	}
	return nil
}

// later returns the higher of two timestamps.
func later(a, b hlc.Timestamp) hlc.Timestamp {
	if a.Less(b) {
		return b
	}
	return a
}
