package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
)

func (a *App) kvDump() *cobra.Command {
	var prefix string
	var force bool
	cmd := &cobra.Command{
		Use:   "dump FILE|-",
		Short: "Write every version of every key to a file",
		Long: `Write every version of every key, with timestamps, expiries and deletions, in a checksummed format that kv load reads
back. A file is written under another name first and renamed when it is complete; one that exists is kept, except
with --force. What a dump does not hold: of a key whose first version is gone, when it was created; how many bytes were
written to a key in all; and a revision that is above the latest version's time, which kv mark makes.
At a node others may write meanwhile: each key is dumped as it is at one instant, and different keys at different ones. kv load
puts a dump into a directory.`,
		Example: lines(
			"pleiades kv dump backup.dump",
			"pleiades kv dump - | zstd > backup.dump.zst",
			"pleiades kv dump users.dump --prefix user/",
		),
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			p, err := bytearg.Parse(prefix)
			if err != nil {
				return err
			}
			return a.withStore(ctx, read, func(s *session) error { return a.dump(ctx, s, args[0], p, force) })
		}),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with these bytes")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	return cmd
}

func (a *App) dump(ctx context.Context, s *session, file string, prefix []byte, force bool) error {
	if file == "-" {
		if a.Out.Terminal {
			return exit.New(exit.Usage, "redirect it: pleiades kv dump - > FILE", "%w: a dump is not for a terminal", base.ErrInvalid)
		}
		_, _, err := a.writeDump(ctx, s, a.Out, prefix)
		return err
	}
	if _, err := os.Lstat(file); !force && !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%w: %s", base.ErrExists, file)
		}
		return exit.WithFix(err, "choose another name, or replace it with --force")
	}
	nkeys, versions, err := a.dumpFile(ctx, s, file, prefix)
	if err != nil {
		return err
	}
	if a.out().Structured() {
		return a.out().Object(output.Row{output.F("file", file), output.F("keys", nkeys), output.F("versions", versions)})
	}
	return a.out().Line(fmt.Sprintf("dumped %d keys, %d versions", nkeys, versions))
}

// dumpFile writes a temporary file beside the target and renames it when all of it is on disk.
func (a *App) dumpFile(ctx context.Context, s *session, file string, prefix []byte) (nkeys, versions uint64, err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, "."+filepath.Base(file)+".*")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, exit.WithFix(err, "make the directory first")
	}
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	nkeys, versions, err = a.writeDump(ctx, s, f, prefix)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, 0, err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return 0, 0, err
	}
	return nkeys, versions, syncDir(dir)
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (a *App) writeDump(ctx context.Context, s *session, w io.Writer, prefix []byte) (nkeys, versions uint64, err error) {
	bar := a.bar("dumping", 0, "keys")
	defer bar.Clear()
	opts := &dump.BucketOptions{Prefix: prefix, Progress: func(keys uint64) { bar.Set(int64(keys), "") }}
	if !s.atNode() {
		return dump.WriteBucket(ctx, w, s.versions, opts)
	}
	node, err := s.client.System().Node(ctx)
	if err != nil {
		return 0, 0, err
	}
	return dump.Write(ctx, w, s.bucket, hlc.Timestamp{WallNanos: int64(node.ClockUnixNanos)}, opts)
}
