package kvstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// command fills in what every command of a client has.
func command(cmd *kvstorev1.Command, caller Caller, session *kvstorev1.Session) (*kvstorev1.Command, error) {
	if len(caller.Name) > maxCallerName {
		return nil, fmt.Errorf("%w: a caller's name of %d bytes", kverr.ErrBadRequest, len(caller.Name))
	}
	cmd.Format = recordFormat
	if session == nil && cmd.CreateAccount == nil && cmd.Put != nil {
		return cmd, nil // nobody asks who it is
	}
	cmd.Caller = caller.message()
	if session != nil {
		cmd.Session, cmd.Fingerprint = session, fingerprint(cmd)
	}
	return cmd, nil
}

// commands keeps the memory of commands: a log is done with one when Propose returns.
var commands = sync.Pool{New: func() any { return new(kvstorev1.Command) }}

// write proposes the command of one operation that fill makes of an empty one.
func (s *Store) write(ctx context.Context, caller Caller, session *kvstorev1.Session, fill func(cmd *kvstorev1.Command)) (*kvstorev1.WriteResponse, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	cmd := commands.Get().(*kvstorev1.Command)
	defer func() {
		cmd.Reset()
		commands.Put(cmd)
	}()
	fill(cmd)
	if _, err := command(cmd, caller, session); err != nil {
		return nil, err
	}
	r, err := s.propose(ctx, s.dataLog, cmd)
	if err != nil {
		return nil, err
	}
	r.Write.Repeated = r.Repeated
	return r.Write, nil
}

// Put writes a new version of a key, durably. r is not kept; the response is the caller's. ctx counts until the write has
// its place in the order.
//
// Errors, all of kverr unless said: ErrRevisionMismatch, ErrExists, ErrVersionsExhausted, ErrValueTooLarge,
// ErrChecksumMismatch, ErrQuota, ErrBucketNotFound, ErrDeleting, ErrBadRequest, those of impossible keys and of sessions;
// ErrOverloaded; engine.ErrNotWritten, engine.ErrDiskFull, engine.ErrUnknownOutcome. All but the last: nothing was
// written.
func (s *Store) Put(ctx context.Context, caller Caller, r *kvstorev1.PutRequest) (*kvstorev1.WriteResponse, error) {
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	if len(r.GetValue()) > versioning.MaxValueBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", kverr.ErrValueTooLarge, len(r.GetValue()), versioning.MaxValueBytes)
	}
	return s.write(ctx, caller, r.GetSession(), func(cmd *kvstorev1.Command) { cmd.Put = r })
}

// Delete writes a tombstone as the latest version of a key. Error ErrNotFound: the key has no value; else as for Put.
func (s *Store) Delete(ctx context.Context, caller Caller, r *kvstorev1.DeleteRequest) (*kvstorev1.WriteResponse, error) {
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	return s.write(ctx, caller, r.GetSession(), func(cmd *kvstorev1.Command) { cmd.Delete = r })
}

// Purge removes a key with its history. Error ErrNotFound: there is no such key, not even a deleted one; else as for Put.
func (s *Store) Purge(ctx context.Context, caller Caller, r *kvstorev1.PurgeRequest) (*kvstorev1.WriteResponse, error) {
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	return s.write(ctx, caller, r.GetSession(), func(cmd *kvstorev1.Command) { cmd.Purge = r })
}

// SetVacuumable permits or forbids vacuum to take old versions of a key. Errors as for Purge.
func (s *Store) SetVacuumable(ctx context.Context, caller Caller, r *kvstorev1.SetVacuumableRequest) (*kvstorev1.WriteResponse, error) {
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	return s.write(ctx, caller, r.GetSession(), func(cmd *kvstorev1.Command) { cmd.SetVacuumable = r })
}

// checkKey refuses impossible keys before they wait for others.
func checkKey(key []byte) error { return keys.Validate(key) }

// Batch does all operations of r, or none: later ones see what earlier ones wrote. When one is refused the error is a
// *versioning.OpError that names it. Errors as for Put, and ErrBatchTooLarge. An empty batch writes nothing.
func (s *Store) Batch(ctx context.Context, caller Caller, r *kvstorev1.BatchRequest) (*kvstorev1.BatchResponse, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	bytes := 0
	for i, o := range r.GetOperations() {
		bytes += len(o.GetPut().GetKey()) + len(o.GetPut().GetValue()) + len(o.GetDelete().GetKey()) + len(o.GetPurge().GetKey())
		if len(o.GetPut().GetValue()) > versioning.MaxValueBytes {
			return nil, &versioning.OpError{Index: i, Err: fmt.Errorf("%w: %d bytes", kverr.ErrValueTooLarge, len(o.GetPut().GetValue()))}
		}
	}
	if n := len(r.GetOperations()); n > s.opts.MaxBatchOperations || bytes > s.opts.MaxBatchBytes {
		return nil, fmt.Errorf("%w: %d operations of %d bytes, at most %d of %d", kverr.ErrBatchTooLarge, n, bytes,
			s.opts.MaxBatchOperations, s.opts.MaxBatchBytes)
	}
	cmd, err := command(&kvstorev1.Command{Batch: r}, caller, r.GetSession())
	if err != nil {
		return nil, err
	}
	res, err := s.propose(ctx, s.dataLog, cmd)
	if err != nil {
		return nil, err
	}
	return &kvstorev1.BatchResponse{Results: res.Writes, Repeated: res.Repeated}, nil
}

// OpenSession makes a session that the caller alone may use. Error: ErrOverloaded when there are too many.
func (s *Store) OpenSession(ctx context.Context, caller Caller) (*kvstorev1.OpenSessionResponse, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	born, err := s.clock.Now()
	if err != nil {
		return nil, err
	}
	id := born.AppendBinary(make([]byte, 0, SessionIDBytes))
	id = id[:SessionIDBytes]
	if _, err := rand.Read(id[SessionIDBytes-4:]); err != nil {
		return nil, err
	}
	cmd, err := command(&kvstorev1.Command{OpenSession: &kvstorev1.SessionCommand{Id: id}}, caller, nil)
	if err != nil {
		return nil, err
	}
	if _, err := s.propose(ctx, s.dataLog, cmd); err != nil {
		return nil, err
	}
	return &kvstorev1.OpenSessionResponse{Id: id, IdleMillis: uint64(s.opts.SessionIdle.Milliseconds())}, nil
}

// CloseSession ends a session of the caller's; an unknown one has ended. Error: ErrSessionForeign.
func (s *Store) CloseSession(ctx context.Context, caller Caller, id []byte) error {
	if err := s.checkOpen(ctx); err != nil {
		return err
	}
	cmd, err := command(&kvstorev1.Command{CloseSession: &kvstorev1.SessionCommand{Id: id}}, caller, nil)
	if err != nil {
		return err
	}
	_, err = s.propose(ctx, s.dataLog, cmd)
	return err
}

// Vacuum removes old versions that the request's policy gives up, and gives their space back. Only who manages the
// bucket's account may. progress, when not nil, is told how far it is, and the last report is returned, also with an
// error: then Next says where to go on. Errors: ErrNotOwner, ErrBadRequest, ErrBucketNotFound, ErrDeleting; ctx's.
func (s *Store) Vacuum(ctx context.Context, caller Caller, r *kvstorev1.VacuumRequest, progress func(*kvstorev1.VacuumResponse)) (*kvstorev1.VacuumResponse, error) {
	b, err := s.bucket(ctx, r.GetBucketId())
	if err != nil {
		return nil, err
	}
	if err := s.manages(caller, uint64(b.ID())); err != nil {
		return nil, err
	}
	const most = uint64(290 * 365 * 24 * time.Hour / time.Millisecond)
	policy := vacuum.Policy{
		AllKeys: r.GetAllKeys(), KeepNewest: int(min(r.GetKeepNewest(), anyVersion)), Deleted: r.GetDeleted(), Expired: r.GetExpired(),
		KeepNewerThan: time.Duration(min(r.GetKeepNewerThanMillis(), most)) * time.Millisecond,
	}
	opts := vacuum.Options{
		Start: r.GetStart(), Prefix: r.GetPrefix(), DryRun: r.GetDryRun(), Pressure: vacuum.EnginePressure(s.eng),
		Executor: &vacuumer{store: s, caller: caller, bucket: b.ID()},
	}
	if len(r.GetEnd()) > 0 {
		opts.End = r.GetEnd()
	}
	if progress != nil {
		opts.Progress = func(report vacuum.Report) {
			if report.Phase != vacuum.PhaseDone {
				progress(vacuumMessage(&report))
			}
		}
	}
	report, err := vacuum.Run(ctx, b, policy, &opts)
	if kverr.NumberOf(err) == 0 && errors.Is(err, base.ErrInvalid) {
		err = fmt.Errorf("%w: %w", kverr.ErrBadRequest, err)
	}
	return vacuumMessage(&report), err
}

func vacuumMessage(r *vacuum.Report) *kvstorev1.VacuumResponse {
	return &kvstorev1.VacuumResponse{
		Keys: uint64(r.Keys), Trimmed: uint64(r.Trimmed), Purged: uint64(r.Purged), Versions: uint64(r.Versions), Bytes: uint64(r.Bytes),
		Skipped: uint64(r.Skipped), Next: r.Next, Compacted: r.Compacted, DiskBefore: r.DiskBefore, DiskAfter: r.DiskAfter,
		Done: r.Phase == vacuum.PhaseDone,
	}
}
