package doctor

import (
	"strconv"
	"strings"
	"time"
)

const (
	// wantBuffer is what QUIC wants of the kernel's bound on socket buffers, in bytes.
	wantBuffer = 7_500_000
	// enoughFiles is how many open files a node wants: RocksDB's tables take up to half, connections and logs the rest.
	// With fewer than fewFiles it is busy opening and closing tables.
	enoughFiles, fewFiles = 16_384, 1_024
	// clockError is how wrong the clock may be: half the offset at which peers refuse each other's timestamps (500 ms).
	clockError = 250 * time.Millisecond
)

// firstYear is when this program was written: an earlier wall clock is wrong.
var firstYear = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// buffer checks the kernel's bound on the buffers of a socket.
func (c *checker) buffer(name, setting string) {
	const (
		fix  = "as root: sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000; to keep it: the same two settings in /etc/sysctl.d/60-pleiades.conf"
		path = "/proc/sys/net/core/"
	)
	b, err := c.System.ReadFile(path + setting)
	if err != nil {
		c.unknown(name, err, "in a container, set it on the host; "+fix)
		return
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		c.unknown(name, err, fix)
		return
	}
	if n < wantBuffer {
		c.bad(Warn, name, fix, "net.core.%s is %d bytes, QUIC wants %d: packets are lost under load", setting, n, wantBuffer)
		return
	}
	c.ok(name, "net.core.%s is %d bytes", setting, n)
}

func (c *checker) openFiles() {
	const fix = "ulimit -n 65536 in the shell that starts it, or LimitNOFILE=65536 in its systemd unit"
	n, err := c.System.OpenFiles()
	switch {
	case err != nil:
		c.unknown(NameOpenFiles, err, fix)
	case n < fewFiles:
		c.bad(Fail, NameOpenFiles, fix, "%d files may be open, at least %d are needed", n, fewFiles)
	case n < enoughFiles:
		c.bad(Warn, NameOpenFiles, fix, "%d files may be open, %d are wanted", n, enoughFiles)
	default:
		c.ok(NameOpenFiles, "%d files may be open", n)
	}
}

func (c *checker) clockSync() {
	const fix = "run a time service: systemctl enable --now systemd-timesyncd, or chrony"
	if now := c.Now(); now.Before(firstYear) {
		c.bad(Fail, NameClockSync, "set the clock: timedatectl set-time 'YYYY-MM-DD hh:mm:ss'", "the wall clock says %s", now.UTC().Format(time.RFC3339))
		return
	}
	state, err := c.System.Clock()
	switch {
	case err != nil:
		c.unknown(NameClockSync, err, fix)
	case !state.Synchronised:
		c.bad(Warn, NameClockSync, fix, "the kernel says that nothing keeps the clock right; timestamps over 500 ms ahead are refused by other nodes")
	case state.MaxError > clockError:
		c.bad(Warn, NameClockSync, fix, "the clock may be wrong by %v, more than %v", state.MaxError, clockError)
	default:
		c.ok(NameClockSync, "synchronised, wrong by at most %v", state.MaxError)
	}
}

// storeClock checks the bound that the store's clock has promised never to go below.
func (c *checker) storeClock() {
	if c.StoreClock == nil {
		return
	}
	if err := c.StoreClock(); err != nil {
		c.bad(Fail, NameStoreClock, "set this machine's clock right, or wait until it has caught up with the store", "%v", err)
		return
	}
	c.ok(NameStoreClock, "the store's timestamps are not ahead of the wall clock")
}

func (c *checker) library() {
	switch {
	case c.Library == nil:
	case c.Library.Asserts:
		c.bad(Warn, NameLibrary, "make rocksdb, which builds a release of the same version, and build again",
			"RocksDB %s was built with assertions: a release build is 1.1 to 1.9 times as fast on writes", c.Library.Version)
	default:
		c.ok(NameLibrary, "RocksDB %s, a release build", c.Library.Version)
	}
}
