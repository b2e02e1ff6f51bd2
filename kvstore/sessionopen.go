package kvstore

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kverr"
)

// maxErrorText bounds the text of a refusal that is kept.
const maxErrorText = 512

func cutText(s string) string {
	if len(s) <= maxErrorText {
		return s
	}
	return s[:maxErrorText]
}

// open makes a session of the id that the command brings.
func (t *sessionTable) open(batch *engine.Batch, shard *engine.Shard, cmd *kvstorev1.Command, ts hlc.Timestamp) (Result, error) {
	raw := cmd.OpenSession.GetId()
	if len(raw) != SessionIDBytes {
		return Result{Err: fmt.Errorf("%w: a session id of %d bytes", kverr.ErrBadRequest, len(raw))}, nil
	}
	id := SessionID(raw)
	born, err := id.born()
	switch s := t.byID[id]; {
	case err != nil || ts.Less(born):
		return Result{Err: fmt.Errorf("%w: a session born in the future", kverr.ErrBadRequest)}, nil
	case s != nil && s.caller != callerOf(cmd.Caller):
		return Result{Err: fmt.Errorf("%w: it belongs to %v", kverr.ErrSessionForeign, s.caller)}, nil
	case s != nil:
		return Result{Repeated: true}, nil
	case born.Less(t.floor):
		return Result{Err: fmt.Errorf("%w: it was closed, or opened too long ago", kverr.ErrSessionExpired)}, nil
	}
	if err := t.full(callerOf(cmd.Caller)); err != nil {
		return Result{Err: err}, nil
	}
	if _, err := t.create(batch, shard, id, callerOf(cmd.Caller), ts); err != nil {
		return Result{}, err
	}
	return Result{}, nil
}

// close removes a session of the caller's; one that is not known is closed already.
func (t *sessionTable) close(batch *engine.Batch, shard *engine.Shard, cmd *kvstorev1.Command) (Result, error) {
	raw := cmd.CloseSession.GetId()
	if len(raw) != SessionIDBytes {
		return Result{Err: fmt.Errorf("%w: a session id of %d bytes", kverr.ErrBadRequest, len(raw))}, nil
	}
	s := t.byID[SessionID(raw)]
	if s == nil {
		return Result{}, nil
	}
	if s.caller != callerOf(cmd.Caller) {
		return Result{Err: fmt.Errorf("%w: it belongs to %v", kverr.ErrSessionForeign, s.caller)}, nil
	}
	return Result{}, t.remove(batch, shard, s)
}

// order puts the sessions that were loaded into the order of their use.
func (t *sessionTable) order() {
	all := make([]*session, 0, len(t.byID))
	for _, s := range t.byID {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *session) int {
		return cmp.Or(a.used.Compare(b.used), bytes.Compare(a.id[:], b.id[:]))
	})
	for _, s := range all {
		s.at = t.byUse.PushBack(s)
	}
}
