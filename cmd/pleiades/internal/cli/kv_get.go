package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// getFlags say which version of a key is read and how it is shown.
type getFlags struct {
	version int
	at      string
	meta    bool
}

func (a *App) kvGet() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key and nothing else: redirected, the bytes are exactly those that were put. On a terminal a
line break follows, and a value that is no text is shown with escapes. A key without a value is exit code 3.
--at takes a timestamp as kv history shows it, an RFC 3339 time, or -10m for ten minutes ago.`,
		Example: lines(
			"pleiades kv get greeting",
			"pleiades kv get greeting --version 3",
			"pleiades kv get greeting --at 2026-11-22T12:00:00Z --meta",
		),
		Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.IntVar(&f.version, "version", 0, "read this version, 1 to 255; 255 is always the latest")
	fs.StringVar(&f.at, "at", "", "read the value that the key had at this time")
	fs.BoolVar(&f.meta, "meta", false, "print version, timestamp, revision, size and expiry instead of the value")
	cmd.MarkFlagsMutuallyExclusive("version", "at")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if fs.Changed("version") && (f.version < 1 || f.version > versioning.MaxVersions) {
			return exit.New(exit.Usage, "pleiades kv history KEY shows the versions that there are", "%w: version %d is not in 1..255", base.ErrInvalid, f.version)
		}
		key, err := bytearg.Parse(args[0])
		if err != nil {
			return err
		}
		var ts hlc.Timestamp
		if fs.Changed("at") {
			if ts, err = parseAt(f.at, a.now()); err != nil {
				return err
			}
		}
		return a.withStore(ctx, read, func(s *session) error { return a.get(ctx, s, key, ts, f) })
	})
	return cmd
}

func (a *App) get(ctx context.Context, s *session, key []byte, ts hlc.Timestamp, f getFlags) error {
	v, err := readVersion(ctx, s, key, ts, f)
	if err != nil {
		return a.missingAt(ctx, s, key, ts, err)
	}
	if !f.meta && !a.out().Structured() {
		return a.out().Value(v.Data, showValue)
	}
	if v.Version == 0 { // Get does not read the descriptor
		d, err := s.bucket.Describe(ctx, key)
		if err != nil {
			return err
		}
		v.Version = d.Versions
	}
	row := output.Row{
		output.F("key", output.Bytes(key)), output.F("version", v.Version), output.F("hlc", v.Timestamp.String()),
		output.F("time", clockTime(v.Timestamp.Time())), output.F("bytes", len(v.Data)),
	}
	if f.meta {
		d, err := s.bucket.Describe(ctx, key)
		if err != nil {
			return err
		}
		row = append(row, output.F("revision", d.Revision.String()), output.F("versions", d.Versions),
			output.F("oldest", d.Oldest), output.F("vacuumable", d.Vacuumable))
	} else {
		row = append(row, output.F("value", output.Bytes(v.Data)))
	}
	return a.out().Object(append(row, output.F("expires", clockTime(v.ExpireAt))))
}

// readVersion reads the version that the flags ask for. A deletion is no value.
func readVersion(ctx context.Context, s *session, key []byte, ts hlc.Timestamp, f getFlags) (versioning.Value, error) {
	switch {
	case f.at != "":
		return s.bucket.GetAt(ctx, key, ts)
	case f.version == 0:
		return s.bucket.Get(ctx, key)
	}
	v, err := s.bucket.GetVersion(ctx, key, f.version)
	if err == nil && v.Tombstone {
		err = fmt.Errorf("%w: version %d is a deletion", versioning.ErrNotFound, v.Version)
	}
	return v, err
}

// showValue is how a terminal gets a value: as it is when that is text, else escaped.
func showValue(b []byte) string {
	if bytearg.Text(b) {
		return string(b)
	}
	return bytearg.Format(b)
}

// missingAt explains why a key had no value at ts; the zero timestamp is the present.
func (a *App) missingAt(ctx context.Context, s *session, key []byte, ts hlc.Timestamp, err error) error {
	if !ts.IsZero() && errors.Is(err, versioning.ErrNotFound) {
		if d, derr := s.bucket.Describe(ctx, key); derr == nil {
			err = fmt.Errorf("at %s: %w", clockTime(ts.Time()), err)
			return exit.WithFix(err, fmt.Sprintf("it was first written at %s; pleiades kv history KEY shows when it had which value", clockTime(d.Created.Time())))
		}
	}
	return a.missing(ctx, s, key, err)
}

// missing explains why a key has no value: by the versions that it still has.
func (a *App) missing(ctx context.Context, s *session, key []byte, err error) error {
	if !errors.Is(err, base.ErrNotFound) {
		return err
	}
	d, derr := s.bucket.Describe(ctx, key)
	if derr != nil || d.Versions == 0 {
		return exit.WithFix(err, "pleiades kv scan --prefix P lists the keys that exist")
	}
	fix := fmt.Sprintf("versions %d to %d exist: pleiades kv history KEY", d.Oldest, d.Versions)
	switch {
	case !d.Deleted && !d.LiveAt(a.now()):
		fix = fmt.Sprintf("it expired at %s; what is stored can be read: pleiades kv get KEY --version %d", clockTime(d.ExpireAt), d.Versions)
	case d.Deleted && d.Versions > d.Oldest:
		fix = fmt.Sprintf("it was deleted in version %d; older ones can be read: pleiades kv get KEY --version %d", d.Versions, d.Versions-1)
	}
	return exit.WithFix(err, fix)
}
