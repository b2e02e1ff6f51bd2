package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// putFlags are the conditions and properties of a put.
type putFlags struct {
	ifVersion  int
	revision   *hlc.Timestamp
	ifAbsent   bool
	vacuumable bool
	ttl        age

	hasVacuumable bool
}

func (a *App) kvPut() *cobra.Command {
	var f putFlags
	var ifRevision string
	cmd := &cobra.Command{
		Use:   "put KEY VALUE|-|@FILE",
		Short: "Write a new version of a key",
		Long: `Write a new version of a key and print its number and timestamp. The write is on disk when the command ends.
With a condition that does not hold nothing is written and the exit code is 4.`,
		Example: lines(
			"pleiades kv put greeting hello",
			"pleiades kv put picture @picture.png --ttl 24h",
			"pleiades kv put counter 8 --if-version 7",
		),
		Args: cobra.ExactArgs(2),
	}
	fs := cmd.Flags()
	fs.IntVar(&f.ifVersion, "if-version", 0, "write only if the latest version has this number")
	fs.StringVar(&ifRevision, "if-revision", "", "write only if the key's revision is this timestamp")
	fs.BoolVar(&f.ifAbsent, "if-absent", false, "write only if the key has no value")
	fs.BoolVar(&f.vacuumable, "vacuumable", false, "permit vacuum to remove old versions of this key (=false forbids it)")
	fs.Var(&f.ttl, "ttl", "the value expires after this time, such as 24h or 30d")
	cmd.MarkFlagsMutuallyExclusive("if-version", "if-revision", "if-absent")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		f.hasVacuumable = fs.Changed("vacuumable")
		if fs.Changed("if-version") && f.ifVersion < 1 {
			return exit.New(exit.Usage, "versions count from 1; for a key that must not exist: --if-absent", "%w: version %d", base.ErrInvalid, f.ifVersion)
		}
		if fs.Changed("ttl") && f.ttl <= 0 {
			return exit.New(exit.Usage, "give a time from now on, such as --ttl 24h", "%w: a ttl of %s", base.ErrInvalid, time.Duration(f.ttl))
		}
		if fs.Changed("if-revision") { // also when it is empty: a condition must not vanish with a shell variable
			rev, err := parseRevision(ifRevision)
			if err != nil {
				return err
			}
			f.revision = &rev
		}
		key, err := bytearg.Parse(args[0])
		if err != nil {
			return err
		}
		value, err := bytearg.Value(args[1], a.input(ctx))
		if err != nil {
			return err
		}
		return a.withStore(ctx, write, func(s *session) error { return a.put(ctx, s, key, value, f) })
	})
	return cmd
}

func (a *App) put(ctx context.Context, s *session, key, value []byte, f putFlags) error {
	opt := &versioning.PutOptions{IfAbsent: f.ifAbsent, IfRevision: f.revision}
	if f.hasVacuumable {
		opt.Vacuumable = &f.vacuumable
	}
	if f.ttl > 0 {
		opt.ExpireAt = a.now().Add(time.Duration(f.ttl))
	}
	if f.ifVersion > 0 {
		rev, err := revisionOf(ctx, s, key, f.ifVersion)
		if err != nil {
			return err
		}
		opt.IfRevision = &rev
	}
	res, err := s.bucket.Put(ctx, key, value, opt)
	if err != nil {
		return conflictFix(err)
	}
	return a.written(key, res)
}

// revisionOf returns the revision of a key whose latest version has the number n, so that a put can be
// conditional on it: between this and the put nobody else can write unnoticed.
func revisionOf(ctx context.Context, s *session, key []byte, n int) (hlc.Timestamp, error) {
	d, err := s.bucket.Describe(ctx, key)
	if err != nil && !errors.Is(err, base.ErrNotFound) {
		return hlc.Timestamp{}, err
	}
	if d.Versions == 0 {
		return hlc.Timestamp{}, conflictFix(fmt.Errorf("%w: there is no key %s, so no version %d of it", base.ErrConflict, bytearg.Format(key), n))
	}
	if d.Versions != n {
		return hlc.Timestamp{}, conflictFix(fmt.Errorf("%w: key %s has version %d, not %d", base.ErrConflict, bytearg.Format(key), d.Versions, n))
	}
	return d.Revision, nil
}

// conflictFix adds the way out of the conflicts that a write can meet.
func conflictFix(err error) error {
	switch {
	case errors.Is(err, versioning.ErrVersionsExhausted):
		return exit.WithFix(err, "raise the limit or let it roll over: pleiades bucket set --rollover relabel; or: pleiades kv purge KEY")
	case errors.Is(err, versioning.ErrExists):
		return exit.WithFix(err, "it exists: read it with kv get, or put without --if-absent")
	case errors.Is(err, versioning.ErrNotFound):
		return exit.WithFix(err, "pleiades kv scan --prefix P lists the keys that exist")
	case errors.Is(err, base.ErrConflict):
		return exit.WithFix(err, "somebody else wrote first: look at it with kv get KEY --meta and try again with what you find")
	}
	return err
}

// written prints the answer to a write: v5 @hlc.
func (a *App) written(key []byte, res versioning.WriteResult) error {
	if !a.out().Structured() {
		return a.out().Line(fmt.Sprintf("v%d %s", res.Version, at(res.Revision)))
	}
	return a.out().Object(output.Row{
		output.F("key", output.Bytes(key)), output.F("version", res.Version), output.F("hlc", res.Revision.String()),
		output.F("shard", uint64(a.shardID())), output.F("rolled_over", res.RolledOver),
	})
}
