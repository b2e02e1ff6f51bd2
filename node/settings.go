package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
)

// Settings say what a node is to be. Make them with Defaults; the zero value is not usable. docs/operations.md lists them;
// the names there are those of Definitions.
type Settings struct {
	// Dir is the node's directory. It is made when it is missing.
	Dir string
	// Listen is the UDP address for clients and other nodes, host:port. Without a host, or with one that is not of the
	// loopback, the operator's own certificates are needed.
	Listen string
	// Advertise is the address that others are told; empty is Listen.
	Advertise string
	// Admin is the TCP address of the admin page, host:port, or "off".
	Admin string
	// AdminBeyondLoopback allows Admin to be reached by others. HAZARD: it has no access control, and pprof.
	AdminBeyondLoopback bool
	// CertsDir holds the certificates; empty is the directory certs in Dir.
	CertsDir string
	// CertsReload is how often CertsDir is looked at for changes; 100 ms to 1 h.
	CertsReload time.Duration
	// EarlyData accepts requests that only read before a handshake is done (0-RTT).
	EarlyData bool
	// DrainTimeout is how long requests that were taken may go on after the node was told to stop; up to 1 h.
	DrainTimeout time.Duration
	// StopTimeout bounds each other step of stopping; 100 ms to 1 h.
	StopTimeout time.Duration

	// LogFormat is "text" or "json".
	LogFormat string
	// LogLevel is what is logged: this level and above.
	LogLevel slog.Level

	// CacheBytes, MemtableBytes, WALBytes, MaxOpenFiles and BackgroundJobs are the engine's options of these names; 0 is
	// its default.
	CacheBytes, MemtableBytes, WALBytes int64
	MaxOpenFiles, BackgroundJobs        int
	// DiskFullPercent and DiskFullFreeBytes: writes are refused while the disk is used to at least this share and has less
	// than these bytes left.
	DiskFullPercent   int
	DiskFullFreeBytes int64
	// DiskStallWarn and DiskStallExit are the ages of a synced write at which the node warns, and at which it ends: a disk
	// that hangs must not keep a node that looks alive.
	DiskStallWarn, DiskStallExit time.Duration
	// AcceptDataLoss opens a store that lost synced writes.
	AcceptDataLoss bool

	// SessionIdle is how long a client's session lives without a write: after it, a repeated write is refused and not done
	// again. 1 s to 7 days.
	SessionIdle time.Duration
	// MaxClockOffset is how far a remote timestamp may be ahead of this machine's clock; above 0, up to 24 h.
	MaxClockOffset time.Duration
	// MaxClockJump is how far this machine's clock may step forward before the node stops serving; 0 is any.
	MaxClockJump time.Duration

	// MaxConnections bounds connections; MaxPairs stream pairs and MaxRequests requests of one connection; MaxMessageBytes
	// one message; MessageMemoryBytes the received messages that are held at a time. 0 is the default of the layer.
	MaxConnections, MaxPairs, MaxRequests int
	MaxMessageBytes, MessageMemoryBytes   int64

	// QLogDir gets a trace file for each connection; empty for none.
	QLogDir string

	// Origins say for each name of Definitions where its value comes from; missing is "default".
	Origins map[string]string
	// Logger replaces the one that LogFormat and LogLevel describe.
	Logger *slog.Logger
	// Version is the program's, for those who ask.
	Version string
	// Wall is the clock of timestamps; nil is the machine's.
	Wall hlc.WallClock
}

// Defaults returns the settings of a node of which nothing was said: one that only this machine reaches.
func Defaults() *Settings {
	s := &Settings{}
	for _, d := range definitions {
		if err := d.set(s, d.Default); err != nil {
			panic(fmt.Sprintf("node: the default of %s: %v", d.Name, err)) // our own bug
		}
	}
	return s
}

// certsDir returns where the certificates are.
func (s *Settings) certsDir() string {
	if s.CertsDir != "" {
		return s.CertsDir
	}
	return filepath.Join(s.Dir, "certs")
}

// check returns ErrSettings with all faults.
func (s *Settings) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Dir == "" {
		fault("dir: no directory")
	}
	if err := checkAddress(s.Listen); err != nil {
		fault("listen: %w", err)
	}
	if s.Advertise != "" {
		if host, _, err := net.SplitHostPort(s.Advertise); err != nil || host == "" {
			fault("advertise: %q is not host:port", s.Advertise)
		}
	}
	if s.Admin != adminOff {
		if err := checkAddress(s.Admin); err != nil {
			fault("admin: %w (or %q)", err, adminOff)
		} else if !loopback(s.Admin) && !s.AdminBeyondLoopback {
			fault("admin: %s would be reached by other machines, and whoever reaches it may look at everything; say --admin-beyond-loopback if that is wanted", s.Admin)
		}
	}
	within := func(name string, d, lo, hi time.Duration) {
		if d < lo || d > hi {
			fault("%s: %v is not within %v and %v", name, d, lo, hi)
		}
	}
	within("certs-reload", s.CertsReload, 100*time.Millisecond, time.Hour)
	within("drain-timeout", s.DrainTimeout, 0, time.Hour)
	within("stop-timeout", s.StopTimeout, 100*time.Millisecond, time.Hour)
	within("disk-stall-warn", s.DiskStallWarn, 10*time.Millisecond, time.Hour)
	within("disk-stall-exit", s.DiskStallExit, s.DiskStallWarn, time.Hour)
	within("session-idle", s.SessionIdle, time.Second, 7*24*time.Hour)
	within("max-clock-offset", s.MaxClockOffset, time.Millisecond, 24*time.Hour)
	within("max-clock-jump", s.MaxClockJump, 0, 24*time.Hour)
	if s.LogFormat != "text" && s.LogFormat != "json" {
		fault("log-format: %q is neither text nor json", s.LogFormat)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrSettings, errors.Join(faults...))
	}
	return nil
}

// adminOff is the value of Settings.Admin for none.
const adminOff = "off"

// checkAddress takes host:port with a number as port. The host may be missing.
func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:7420", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%q has no port from 0 to 65535", addr)
	}
	return nil
}

// loopback reports whether only this machine reaches addr. A name that is not known to be of the loopback is not.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
