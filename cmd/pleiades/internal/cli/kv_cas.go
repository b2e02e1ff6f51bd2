package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) kvCas() *cobra.Command {
	return &cobra.Command{
		Use:   "cas KEY EXPECTED NEW",
		Short: "Replace a value if it is the expected one",
		Long: `Compare and set: write NEW if the key's value is EXPECTED, atomically. Otherwise nothing is written and the exit code
is 4 (3 if the key has no value). kv put has conditions on the version and on the revision.`,
		Example: lines(
			"pleiades kv cas state idle busy",
			"pleiades kv cas config @old.json @new.json",
			"pleiades kv cas flag 0x00 0x01 -o json",
		),
		Args: cobra.ExactArgs(3),
		RunE: a.run(func(ctx context.Context, args []string) error {
			key, err := bytearg.Parse(args[0])
			if err != nil {
				return err
			}
			if args[1] == "-" && args[2] == "-" {
				return exit.New(exit.Usage, "give one of them as @FILE", "%w: standard input cannot be both values", base.ErrInvalid)
			}
			expected, err := bytearg.Value(args[1], a.input(ctx))
			if err != nil {
				return err
			}
			value, err := bytearg.Value(args[2], a.input(ctx))
			if err != nil {
				return err
			}
			return a.withStore(ctx, read, func(s *session) error { return a.cas(ctx, s, key, expected, value) })
		}),
	}
}

func (a *App) cas(ctx context.Context, s *session, key, expected, value []byte) error {
	// The revision is read before the value: a write in between then fails the put.
	d, err := s.bucket.Describe(ctx, key)
	if err != nil {
		return a.missing(ctx, s, key, err)
	}
	v, err := s.bucket.Get(ctx, key)
	if err != nil {
		return a.missing(ctx, s, key, err)
	}
	if !bytes.Equal(v.Data, expected) {
		return conflictFix(fmt.Errorf("%w: key %s has another value, in version %d of %s", base.ErrConflict, bytearg.Format(key), d.Versions, at(v.Timestamp)))
	}
	res, err := s.bucket.Put(ctx, key, value, &versioning.PutOptions{IfRevision: &d.Revision})
	if err != nil {
		return conflictFix(err)
	}
	return a.written(key, res)
}
