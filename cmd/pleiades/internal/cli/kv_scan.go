package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

// scanFlags say what a scan covers and shows.
type scanFlags struct {
	prefix, at, resume       string
	limit                    int
	reverse, keysOnly, count bool
}

func (a *App) kvScan() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan [START [END]]",
		Short: "List keys in order, with their latest values",
		Long: `List the keys from START to END (END itself is not part of it), or those with a prefix, in byte order. Deleted and
expired keys are left out. A scan that stops at its limit, or is interrupted, prints a token on standard error with
which --resume goes on behind the last key. --at reads the whole range as it was at a time.`,
		Example: lines(
			"pleiades kv scan --prefix user/ --limit 10",
			"pleiades kv scan a b --keys-only --reverse",
			"pleiades kv scan --count --at -1h",
		),
		Args: cobra.MaximumNArgs(2),
	}
	fs := cmd.Flags()
	fs.StringVar(&f.prefix, "prefix", "", "only keys that begin with these bytes")
	fs.IntVar(&f.limit, "limit", 0, "stop after this many keys (0: never)")
	fs.BoolVar(&f.reverse, "reverse", false, "from the last key to the first")
	fs.BoolVar(&f.keysOnly, "keys-only", false, "do not read the values; show version, revision and size instead")
	fs.BoolVar(&f.count, "count", false, "print only how many keys there are")
	fs.StringVar(&f.at, "at", "", "as it was at this time: @HLC, RFC 3339, or -10m")
	fs.StringVar(&f.resume, "resume", "", "go on with the token that an earlier scan printed")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		opt, err := a.scanOptions(args, f, fs.Changed("prefix"), fs.Changed("at"))
		if err != nil {
			return err
		}
		return a.withStore(ctx, read, func(s *session) error {
			if f.count {
				return a.scanCount(ctx, s, opt)
			}
			return a.scan(ctx, s, opt)
		})
	})
	return cmd
}

// scanOptions turns arguments and flags into what versioning scans.
func (a *App) scanOptions(args []string, f scanFlags, hasPrefix, hasAt bool) (*versioning.ScanOptions, error) {
	if hasPrefix && len(args) > 0 {
		return nil, exit.New(exit.Usage, "give either START and END or --prefix", "%w: a range and a prefix", base.ErrInvalid)
	}
	if f.limit < 0 {
		return nil, exit.New(exit.Usage, "leave --limit out for all keys", "%w: a limit of %d", base.ErrInvalid, f.limit)
	}
	opt := &versioning.ScanOptions{Limit: f.limit, Reverse: f.reverse, Values: !f.keysOnly && !f.count, Borrow: true}
	var err error
	if len(args) > 0 {
		if opt.Start, err = bytearg.Parse(args[0]); err != nil {
			return nil, err
		}
	}
	if len(args) > 1 {
		if opt.End, err = bytearg.Parse(args[1]); err != nil {
			return nil, err
		}
		if bytes.Compare(opt.Start, opt.End) >= 0 {
			return nil, exit.New(exit.Usage, "START comes first, also with --reverse; END itself is not part of the range",
				"%w: no key is at or behind %s and before %s", base.ErrInvalid, args[0], args[1])
		}
	}
	if hasPrefix {
		if opt.Prefix, err = bytearg.Parse(f.prefix); err != nil {
			return nil, err
		}
	}
	if hasAt {
		if opt.At, err = parseAt(f.at, a.now()); err != nil {
			return nil, err
		}
	}
	if f.resume != "" {
		if opt.Resume, err = base64.RawURLEncoding.DecodeString(f.resume); err != nil {
			return nil, exit.New(exit.Usage, "copy the token of the earlier scan as a whole", "%w: the resume token is damaged", base.ErrInvalid)
		}
	}
	return opt, nil
}

// scan prints the rows of a scan. The engine's part of it does not end with ctx in between two keys, so that
// the token that an interruption prints is exactly behind the last key that was printed.
func (a *App) scan(ctx context.Context, s *session, opt *versioning.ScanOptions) error {
	raw := "value"
	if !opt.Values {
		raw = "key"
	}
	out, err := a.out().Stream(raw)
	if err != nil {
		return err
	}
	truncated := 0
	var stopped error
	for e, err := range s.bucket.Scan(context.WithoutCancel(ctx), opt) {
		if errors.Is(err, versioning.ErrHistoryTruncated) {
			truncated++
			continue
		}
		if err != nil {
			return errors.Join(out.Close(), scanError(err))
		}
		if err := out.Row(scanRow(e, opt)); err != nil {
			return err
		}
		stopped = ctx.Err()
		if stopped != nil || out.Rows() == opt.Limit {
			if err := out.Close(); err != nil {
				return err
			}
			a.note("more: --resume %s", base64.RawURLEncoding.EncodeToString(s.token(e, opt)))
			break
		}
	}
	if truncated > 0 {
		a.note("%d keys left out: their history does not reach back to that time", truncated)
	}
	return errors.Join(out.Close(), stopped)
}

func scanRow(e versioning.Entry, opt *versioning.ScanOptions) output.Row {
	row := output.Row{output.F("key", output.Bytes(e.Key))}
	if opt.Values {
		return append(row, output.F("hlc", e.Value.Timestamp.String()), output.F("value", output.Bytes(e.Value.Data)))
	}
	return append(row, output.F("version", e.Value.Version), output.F("revision", e.Descriptor.Revision.String()), output.F("size", e.Value.Size))
}

// scanError adds the way out of what a scan can meet.
func scanError(err error) error {
	if errors.Is(err, versioning.ErrBadToken) {
		return exit.WithFix(err, "use the token with the same --bucket, --reverse and --at as the scan that printed it")
	}
	return err
}

func (a *App) scanCount(ctx context.Context, s *session, opt *versioning.ScanOptions) error {
	bar := a.bar("counting", 0, "keys")
	defer bar.Clear()
	n, truncated := int64(0), 0
	for _, err := range s.bucket.Scan(ctx, opt) {
		switch {
		case errors.Is(err, versioning.ErrHistoryTruncated):
			truncated++
			continue
		case err != nil:
			return scanError(err)
		}
		n++
		bar.Set(n, "")
	}
	bar.Clear()
	if truncated > 0 {
		a.note("%d keys not counted: their history does not reach back to that time", truncated)
	}
	if a.out().Structured() {
		return a.out().Object(output.Row{output.F("keys", n)})
	}
	return a.out().Line(fmt.Sprint(n))
}
