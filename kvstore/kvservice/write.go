package kvservice

import (
	"context"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// write serves the requests that change keys.
func (s *service) write(r *pwp.Request, caller kvstore.Caller) error {
	switch r.Type() {
	case kvwire.Put:
		return answer(r, caller, &kvstorev1.PutRequest{}, s.store.Put)
	case kvwire.Delete:
		return answer(r, caller, &kvstorev1.DeleteRequest{}, s.store.Delete)
	case kvwire.Purge:
		return answer(r, caller, &kvstorev1.PurgeRequest{}, s.store.Purge)
	case kvwire.SetVacuumable:
		return answer(r, caller, &kvstorev1.SetVacuumableRequest{}, s.store.SetVacuumable)
	case kvwire.Batch:
		return s.batch(r, caller)
	}
	return fmt.Errorf("%w: %s", kverr.ErrBadRequest, kvwire.Name(r.Type()))
}

// answer serves a request that has one answer. A client that goes away does not stop a write that has begun: the store
// finishes it, so that a later attempt of the same session finds its result.
func answer[Q decoded, A encoded](r *pwp.Request, caller kvstore.Caller, req Q, do func(context.Context, kvstore.Caller, Q) (A, error)) error {
	if err := decode(r, req); err != nil {
		return err
	}
	resp, err := do(contextOf(r), caller, req)
	if err != nil {
		return err
	}
	return reply(r, resp)
}

// vacuum sends how far it is, and at the end the report.
func (s *service) vacuum(r *pwp.Request, caller kvstore.Caller) error {
	var req kvstorev1.VacuumRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	report, err := s.store.Vacuum(ctx, caller, &req, func(p *kvstorev1.VacuumResponse) {
		if send(r, p) != nil {
			cancel() // nobody listens any more
		}
	})
	if report != nil {
		// Also what was done before an error: the next run goes on at report.next.
		report.Done = err == nil
		if sendErr := send(r, report); err == nil {
			err = sendErr
		}
	}
	return err
}

func (s *service) sessions(r *pwp.Request, caller kvstore.Caller) error {
	if r.Type() == kvwire.OpenSession {
		return answer(r, caller, &kvstorev1.OpenSessionRequest{},
			func(ctx context.Context, caller kvstore.Caller, _ *kvstorev1.OpenSessionRequest) (*kvstorev1.OpenSessionResponse, error) {
				return s.store.OpenSession(ctx, caller)
			})
	}
	return answer(r, caller, &kvstorev1.CloseSessionRequest{},
		func(ctx context.Context, caller kvstore.Caller, req *kvstorev1.CloseSessionRequest) (*kvstorev1.CloseSessionResponse, error) {
			return &kvstorev1.CloseSessionResponse{}, s.store.CloseSession(ctx, caller, req.Id)
		})
}
