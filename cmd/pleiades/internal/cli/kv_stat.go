package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/bytearg"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
	"github.com/shieldmaidens/pleiades/versioning"
)

func (a *App) kvStat() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:   "stat",
		Short: "Count keys, versions, deletions and bytes of the bucket",
		Long: `Walk over the descriptors of the bucket and count: live, deleted and expired keys, versions that can be read, bytes
of the latest values and of everything written so far, how many versions keys have, and what the store takes on disk.`,
		Example: lines("pleiades kv stat", "pleiades kv stat --prefix user/", "pleiades kv stat -o json"),
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			p, err := bytearg.Parse(prefix)
			if err != nil {
				return err
			}
			return a.withStore(ctx, read, func(s *session) error { return a.stat(ctx, s, p) })
		}),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only keys that begin with these bytes")
	return cmd
}

// versionSteps are the upper ends of the histogram's classes.
var versionSteps = []int{1, 2, 4, 8, 16, 32, 64, 128, 254, 255}

// keyStats is what kv stat counts.
type keyStats struct {
	live, deleted, expired, vacuumable int64
	versions, latestBytes, written     int64
	histogram                          []int64
}

func (k *keyStats) add(d versioning.Descriptor, live bool) {
	switch {
	case d.Deleted:
		k.deleted++
	case !live:
		k.expired++
	default:
		k.live++
	}
	if d.Vacuumable {
		k.vacuumable++
	}
	n := d.History() + 1
	k.versions += int64(n)
	k.latestBytes += d.LatestBytes
	k.written += d.WrittenBytes
	for i, step := range versionSteps {
		if n <= step {
			k.histogram[i]++
			return
		}
	}
}

// rows returns the classes of the histogram that are not empty.
func (k *keyStats) rows() output.Row {
	row := output.Row{}
	low := 1
	for i, step := range versionSteps {
		name := strconv.Itoa(step)
		if low < step {
			name = strconv.Itoa(low) + "-" + name
		}
		if k.histogram[i] > 0 {
			row = append(row, output.F(name, k.histogram[i]))
		}
		low = step + 1
	}
	return row
}

func (a *App) stat(ctx context.Context, s *session, prefix []byte) error {
	k := keyStats{histogram: make([]int64, len(versionSteps))}
	bar := a.bar("counting", 0, "keys")
	defer bar.Clear()
	now := a.now()
	for e, err := range s.bucket.Scan(ctx, &versioning.ScanOptions{Prefix: prefix, Deleted: true, Borrow: true}) {
		if err != nil {
			return err
		}
		k.add(e.Descriptor, e.Descriptor.LiveAt(now))
		bar.Set(k.live+k.deleted+k.expired, "")
	}
	bar.Clear()
	settings, err := s.bucket.Settings(ctx)
	if err != nil {
		return err
	}
	approx, disk, err := s.sizes(ctx)
	if err != nil {
		return err
	}
	return a.out().Object(output.Row{
		output.F("keys", k.live), output.F("deleted", k.deleted), output.F("expired", k.expired), output.F("vacuumable", k.vacuumable),
		output.F("versions", k.versions), output.F("latest_bytes", k.latestBytes), output.F("written_bytes", k.written),
		output.F("max_versions", settings.MaxVersions), output.F("rollover", settings.Rollover.String()),
		output.F("keys_by_versions", k.rows()), output.F("shard_bytes", approx), output.F("disk_bytes", disk),
	})
}

// diskSize adds up the sizes of all files of a directory. Files that vanish meanwhile are not counted.
func diskSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return err
	})
	return n, err
}

// sizes returns what the shard and the whole store take on disk. A node does not say it of a shard.
func (s *session) sizes(ctx context.Context) (shard, store any, err error) {
	if s.atNode() {
		node, err := s.client.System().Node(ctx)
		return nil, node.GetDiskUsedBytes(), err
	}
	approx, err := dataSize(s.shard)
	if err != nil {
		return nil, nil, err
	}
	disk, err := diskSize(s.eng.Dir())
	return approx, disk, err
}
