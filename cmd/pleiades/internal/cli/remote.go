package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/versioning"
)

// commandRetry is how long one command tries to get through to a node that does not answer any more, without --timeout: as
// long as a node takes to stop and to start again.
const commandRetry = 30 * time.Second

// withClient connects to the node of the settings.
func (a *App) withClient(ctx context.Context, opts client.Options, fn func(*client.Client) error) (err error) {
	dir := a.text("certs-dir")
	if dir == "" {
		return exit.New(exit.Usage, "give --certs-dir DIR; a node that made its own has them in its DIR/certs", "%w: no certificates to reach %s with", base.ErrInvalid, a.text("addr"))
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	source, err := certs.Open(dir, certs.ClientLeaf(a.text("user")), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	opts.Certs, opts.Logger = source, a.logger()
	if opts.RetryFor == 0 {
		opts.RetryFor = max(commandRetry, a.timeout())
	}
	var open atomic.Pointer[client.Client]
	stop := a.sayWhatIsWaitedFor(ctx, &open)
	defer stop()
	c, err := a.openClient(ctx, strings.Split(a.text("addr"), ","), &opts)
	if err != nil {
		return a.lateError(nodeError(err))
	}
	open.Store(c)
	defer func() {
		stop() // what is waited for from here on is the end
		err = errors.Join(err, c.Close())
	}()
	return a.lateError(nodeError(fn(c)))
}

// lateError says of a command that ran out of time whom it asked.
func (a *App) lateError(err error) error {
	var typed *exit.Error
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &typed) {
		return err
	}
	return exit.New(exit.Unavailable, "check --addr, and that the node runs: pleiades node status; or give it more time: --timeout",
		"%s did not answer within %s: %w", a.text("addr"), a.timeout(), err)
}

// needNode is withClient for commands that only a node does.
func (a *App) needNode(ctx context.Context, fn func(*client.Client) error) error {
	node, err := a.node()
	if err != nil {
		return err
	}
	if !node {
		return exit.New(exit.Usage, "give --addr HOST:PORT, or start a node: pleiades node start", "%w: this needs a node, and none is given", base.ErrInvalid)
	}
	return a.withClient(ctx, client.Options{}, fn)
}

// nodeError adds the way out of what reaching a node can meet.
func nodeError(err error) error {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return exit.WithFix(err, "check --addr, and that the node runs: pleiades node status; or start one: pleiades node start")
	case errors.Is(err, client.ErrBucketNotFound):
		return exit.WithFix(err, "pleiades bucket list shows the buckets; pleiades bucket create NAME makes one")
	case errors.Is(err, client.ErrAccountNotFound):
		return exit.WithFix(err, "pleiades account list shows the accounts; pleiades account create NAME makes one")
	}
	return err
}

// withNode connects to the node and to the bucket of the settings.
func (a *App) withNode(ctx context.Context, fn func(*session) error) error {
	return a.withClient(ctx, client.Options{}, func(c *client.Client) error { return a.atBucket(ctx, c, fn) })
}

func (a *App) atBucket(ctx context.Context, c *client.Client, fn func(*session) error) error {
	r := &remoteBucket{c: c, b: a.handle(c)}
	var err error
	if r.id, err = r.b.ID(ctx); err != nil {
		return err
	}
	return fn(&session{bucket: r, client: c, remote: r})
}

// handle returns the bucket of the settings: by its number, or by its name.
func (a *App) handle(c *client.Client) *client.Bucket { return a.named(c, a.text("bucket")) }

// named returns a bucket by its number or its name, which may have its account in front.
func (a *App) named(c *client.Client, name string) *client.Bucket {
	if n, err := strconv.ParseUint(name, 10, 64); err == nil {
		return c.BucketByID(keys.BucketID(n))
	}
	return c.Bucket(a.bucketName(name))
}

// bucketName puts the account of the settings in front of a name that has none.
func (a *App) bucketName(name string) string {
	if account := a.text("account"); account != "" && !strings.Contains(name, "/") {
		return account + "/" + name
	}
	return name
}

// remoteBucket is a bucket at a node, with the types of an embedded one.
type remoteBucket struct {
	c  *client.Client
	b  *client.Bucket
	id keys.BucketID
}

var _ bucket = (*remoteBucket)(nil)

func (r *remoteBucket) ID() keys.BucketID { return r.id }

func (r *remoteBucket) Get(ctx context.Context, key []byte) (versioning.Value, error) {
	v, err := r.b.Get(ctx, key)
	return versioning.Value(v), err
}

func (r *remoteBucket) GetVersion(ctx context.Context, key []byte, version int) (versioning.Value, error) {
	v, err := r.b.GetVersion(ctx, key, version)
	return versioning.Value(v), err
}

func (r *remoteBucket) GetAt(ctx context.Context, key []byte, ts hlc.Timestamp) (versioning.Value, error) {
	v, err := r.b.GetAt(ctx, key, ts)
	return versioning.Value(v), err
}

func (r *remoteBucket) Describe(ctx context.Context, key []byte) (versioning.Descriptor, error) {
	d, err := r.b.Describe(ctx, key)
	return versioning.Descriptor(d), err
}

func (r *remoteBucket) History(ctx context.Context, key []byte, opts *versioning.HistoryOptions) iter.Seq2[versioning.Value, error] {
	return func(yield func(versioning.Value, error) bool) {
		for v, err := range r.b.History(ctx, key, (*client.HistoryOptions)(opts)) {
			if !yield(versioning.Value(v), err) {
				return
			}
		}
	}
}

func (r *remoteBucket) Scan(ctx context.Context, o *versioning.ScanOptions) iter.Seq2[versioning.Entry, error] {
	return func(yield func(versioning.Entry, error) bool) {
		for e, err := range r.b.Scan(ctx, &client.ScanOptions{
			Start: o.Start, End: o.End, Prefix: o.Prefix, Reverse: o.Reverse, Limit: o.Limit, Values: o.Values, Descriptors: o.Descriptors,
			Deleted: o.Deleted, At: o.At, Resume: o.Resume,
		}) {
			if !yield(versioning.Entry{Key: e.Key, Value: versioning.Value(e.Value), Descriptor: versioning.Descriptor(e.Descriptor)}, err) {
				return
			}
		}
	}
}

func (r *remoteBucket) Put(ctx context.Context, key, value []byte, o *versioning.PutOptions) (versioning.WriteResult, error) {
	opts := &client.PutOptions{}
	if o != nil {
		*opts = client.PutOptions{IfRevision: o.IfRevision, IfAbsent: o.IfAbsent, ExpireAt: o.ExpireAt, Vacuumable: o.Vacuumable, Checksum: o.Checksum}
	}
	return written(r.b.Put(ctx, key, value, opts))
}

func written(w client.WriteResult, err error) (versioning.WriteResult, error) {
	return versioning.WriteResult{Version: w.Version, Revision: w.Revision, RolledOver: w.RolledOver, Dropped: w.Dropped}, err
}

func writeOptions(o *versioning.WriteOptions) *client.WriteOptions {
	if o == nil {
		return nil
	}
	return &client.WriteOptions{IfRevision: o.IfRevision}
}

func (r *remoteBucket) Delete(ctx context.Context, key []byte, o *versioning.WriteOptions) (versioning.WriteResult, error) {
	return written(r.b.Delete(ctx, key, writeOptions(o)))
}

func (r *remoteBucket) Purge(ctx context.Context, key []byte, o *versioning.WriteOptions) (versioning.WriteResult, error) {
	return written(r.b.Purge(ctx, key, writeOptions(o)))
}

func (r *remoteBucket) SetVacuumable(ctx context.Context, key []byte, vacuumable bool, o *versioning.WriteOptions) (versioning.WriteResult, error) {
	return written(r.b.SetVacuumable(ctx, key, vacuumable, writeOptions(o)))
}

// rollovers are the policies of both worlds.
var rollovers = map[client.Rollover]versioning.Rollover{
	client.Relabel: versioning.Relabel, client.Cascade: versioning.Cascade, client.Refuse: versioning.Refuse,
}

func (r *remoteBucket) Settings(ctx context.Context) (versioning.Settings, error) {
	info, err := r.b.Info(ctx)
	return versioning.Settings{MaxVersions: info.Settings.MaxVersions, Rollover: rollovers[info.Settings.Rollover]}, err
}

func (r *remoteBucket) SetSettings(ctx context.Context, s versioning.Settings) error {
	info, err := r.b.Info(ctx)
	if err != nil {
		return err
	}
	set := client.BucketSettings{MaxVersions: s.MaxVersions}
	for remote, local := range rollovers {
		if local == s.Rollover {
			set.Rollover = remote
		}
	}
	if s.MaxVersions < 1 {
		return fmt.Errorf("%w: %d versions, allowed are 1 to %d", client.ErrInvalidSettings, s.MaxVersions, versioning.MaxVersions)
	}
	_, err = r.c.SetBucket(ctx, info.Account+"/"+info.Name, set)
	return err
}

// remoteRemovals collects keys that go together at a node.
type remoteRemovals struct {
	batch *client.Batch
	in    *client.Bucket
}

func (r *remoteRemovals) Delete(key []byte) error { return r.batch.Delete(r.in, key, nil) }
func (r *remoteRemovals) Purge(key []byte) error  { return r.batch.Purge(r.in, key, nil) }
func (r *remoteRemovals) Len() int                { return r.batch.Len() }

func (r *remoteRemovals) Commit(ctx context.Context) error {
	_, err := r.batch.Commit(ctx)
	return err
}
