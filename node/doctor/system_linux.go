package doctor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func writable(path string) error { return unix.Access(path, unix.W_OK|unix.X_OK) }

func openFiles() (uint64, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Cur, err // Go raises it to the hard limit when a program starts
}

func clockState() (ClockState, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return ClockState{}, err
	}
	return ClockState{
		Synchronised: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		MaxError:     time.Duration(t.Maxerror) * time.Microsecond,
	}, nil
}

// fileSystems are the names of file systems by their magic numbers (statfs(2)).
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC:      "ext4",
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	0x2fc12fc1:                 "zfs",
	0xca451a4e:                 "bcachefs",
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.RAMFS_MAGIC:           "ramfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NFS_SUPER_MAGIC:       "nfs",
	0xff534d42:                 "cifs",
	0xfe534d42:                 "smb2",
	unix.V9FS_MAGIC:            "9p",
	0x65735546:                 "fuse",
	unix.MSDOS_SUPER_MAGIC:     "vfat",
	unix.SQUASHFS_MAGIC:        "squashfs",
}

func fileSystem(path string) (FileSystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return FileSystem{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	magic := int64(st.Type) & 0xffffffff
	f := FileSystem{
		Type:      fileSystems[magic],
		FreeBytes: st.Bavail * uint64(st.Bsize), TotalBytes: st.Blocks * uint64(st.Bsize),
		FreeFiles: st.Ffree, TotalFiles: st.Files,
	}
	if f.Type == "" {
		f.Type = fmt.Sprintf("%#x", magic)
	}
	return f, nil
}
