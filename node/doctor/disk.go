package doctor

import (
	"errors"
	"io/fs"
	"path/filepath"
)

const (
	// From fullPercent on and with less than fullBytes free the engine refuses writes (its own defaults); nearPercent and
	// nearBytes are when to act.
	fullPercent, nearPercent = 90, 80
	fullBytes, nearBytes     = 8 << 30, 16 << 30
	// fewInodes percent of free files is when to act.
	fewInodes = 5
)

// doubtful are file systems that are not made for a store, with what happens on them.
var doubtful = map[string]string{
	"tmpfs":     "it is memory: the data is gone when the machine stops",
	"ramfs":     "it is memory: the data is gone when the machine stops",
	"overlay":   "it is the layer of a container: slow, and gone with the container",
	"nfs":       "locks and synced writes do not hold as on a local disk",
	"cifs":      "locks and synced writes do not hold as on a local disk",
	"smb2":      "locks and synced writes do not hold as on a local disk",
	"9p":        "locks and synced writes do not hold as on a local disk",
	"fuse":      "locks and synced writes are those of a user's program",
	"vfat":      "it has no permissions and no hard links",
	"squashfs":  "it cannot be written",
	"overlayfs": "it is the layer of a container: slow, and gone with the container",
}

// dataDir checks the directory of the store and the disk that holds it.
func (c *checker) dataDir() {
	if c.DataDir == "" {
		return
	}
	at, exists := c.existing(c.DataDir)
	c.directory(NameDataDir, c.DataDir, at, exists)
	f, err := c.System.FileSystem(at)
	if err != nil {
		c.unknown(NameDiskSpace, err, "look at it with: df -h "+at)
		return
	}
	c.space(at, f)
	if why, ok := doubtful[f.Type]; ok {
		c.bad(Warn, NameFileSystem, "put the store on a local disk with ext4, xfs, btrfs or zfs", "%s is on %s: %s", at, f.Type, why)
		return
	}
	c.ok(NameFileSystem, "%s is on %s", at, f.Type)
}

// existing returns dir, or the nearest directory above it that exists.
func (c *checker) existing(dir string) (string, bool) {
	dir = filepath.Clean(dir)
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := c.System.Stat(at); err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at, at == dir
		}
	}
}

// directory checks who may read and write a directory. at is dir, or the directory that it is going to be made in.
func (c *checker) directory(name, dir, at string, exists bool) {
	info, err := c.System.Stat(at)
	switch {
	case err != nil:
		c.bad(Fail, name, "make it reachable for the user who runs pleiades", "%v", err)
		return
	case !info.IsDir():
		c.bad(Fail, name, "name a directory", "%s is no directory", at)
		return
	}
	if err := c.System.Writable(at); err != nil && (name == NameDataDir || !exists) {
		c.bad(Fail, name, "chown it to the user who runs pleiades, or run as its owner", "%s cannot be written: %v", at, err)
		return
	}
	mode := info.Mode().Perm()
	switch {
	case !exists:
		c.ok(name, "%s does not exist yet and can be made in %s", dir, at)
	case mode&0o022 != 0:
		c.bad(Fail, name, "chmod 700 "+dir, "%s has mode %04o: others can replace what is in it", dir, mode)
	case mode&0o055 != 0:
		c.bad(Warn, name, "chmod 700 "+dir, "%s has mode %04o: others can look into it", dir, mode)
	default:
		c.ok(name, "%s has mode %04o", dir, mode)
	}
}

// space checks how much room a file system has.
func (c *checker) space(at string, f FileSystem) {
	const fix = "delete files, run pleiades vacuum run, or move the store to a larger disk"
	if f.TotalBytes == 0 {
		c.ok(NameDiskSpace, "%s has no bound", at)
		return
	}
	used := 100 - min(f.FreeBytes, f.TotalBytes)/max(f.TotalBytes/100, 1)
	if f.FreeBytes >= f.TotalBytes {
		used = 0
	}
	switch {
	case used >= fullPercent && f.FreeBytes < fullBytes:
		c.bad(Fail, NameDiskSpace, fix, "%s free of %s, used to %d %%: a store refuses writes", mib(f.FreeBytes), mib(f.TotalBytes), used)
	case used >= nearPercent && f.FreeBytes < nearBytes:
		c.bad(Warn, NameDiskSpace, fix, "%s free of %s, used to %d %%: writes are refused from %d %% on", mib(f.FreeBytes), mib(f.TotalBytes), used, fullPercent)
	case f.TotalFiles > 0 && f.FreeFiles*100 < f.TotalFiles*fewInodes:
		c.bad(Warn, NameDiskSpace, "delete files; df -i "+at+" shows how many there are", "%d of %d files can still be made", f.FreeFiles, f.TotalFiles)
	default:
		c.ok(NameDiskSpace, "%s free of %s", mib(f.FreeBytes), mib(f.TotalBytes))
	}
}
