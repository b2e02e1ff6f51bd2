package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// Definition describes one setting: how it is called on the command line (--NAME), in the environment (PLEIADES_NAME) and
// in files (name = value).
type Definition struct {
	Name string
	// Default is what holds when nobody says anything.
	Default string
	// Help is one line, with the unit.
	Help string

	set func(*Settings, string) error
	get func(*Settings) string
}

// Check returns why the setting cannot have that value, nil when it can.
func (d Definition) Check(value string) error { return d.set(&Settings{}, value) }

// Definitions returns all settings of a node, in the order in which they are shown. The slice is the caller's.
func Definitions() []Definition { return slices.Clone(definitions) }

// Set gives a setting its value by name. Errors match base.ErrInvalid.
func (s *Settings) Set(name, value string) error {
	for _, d := range definitions {
		if d.Name == name {
			if err := d.set(s, value); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrSettings, name, err)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: there is no setting %q", ErrSettings, name)
}

// Get returns the value of a setting by name, in the form that Set takes; empty for an unknown one.
func (s *Settings) Get(name string) string {
	for _, d := range definitions {
		if d.Name == name {
			return d.get(s)
		}
	}
	return ""
}

var definitions = []Definition{
	text("dir", "pleiades-data", "directory of the node", func(s *Settings) *string { return &s.Dir }),
	text("listen", "127.0.0.1:7420", "UDP address for clients and nodes", func(s *Settings) *string { return &s.Listen }),
	text("advertise", "", "address that others are told (default: --listen)", func(s *Settings) *string { return &s.Advertise }),
	text("admin", "127.0.0.1:7421", "TCP address of the admin page, or off", func(s *Settings) *string { return &s.Admin }),
	boolean("admin-beyond-loopback", "false", "let other machines reach the admin page, which has no access control", func(s *Settings) *bool { return &s.AdminBeyondLoopback }),
	text("certs-dir", "", "directory of the certificates (default: certs in --dir)", func(s *Settings) *string { return &s.CertsDir }),
	duration("certs-reload", "5s", "how often to look for new certificates", func(s *Settings) *time.Duration { return &s.CertsReload }),
	boolean("early-data", "true", "answer reads before the handshake of a returning client is done (0-RTT)", func(s *Settings) *bool { return &s.EarlyData }),
	duration("drain-timeout", "10s", "how long requests that were taken may go on at the end", func(s *Settings) *time.Duration { return &s.DrainTimeout }),
	duration("stop-timeout", "10s", "how long each other step of the end may take", func(s *Settings) *time.Duration { return &s.StopTimeout }),
	text("log-format", "text", "text or json", func(s *Settings) *string { return &s.LogFormat }),
	level("log-level", "info", "debug, info, warn or error", func(s *Settings) *slog.Level { return &s.LogLevel }),
	bytes("cache-bytes", "256MiB", "cache of table blocks", func(s *Settings) *int64 { return &s.CacheBytes }),
	bytes("memtable-bytes", "256MiB", "memory for writes that are not in tables yet", func(s *Settings) *int64 { return &s.MemtableBytes }),
	bytes("wal-bytes", "512MiB", "size of the write-ahead log above which what it holds back is flushed", func(s *Settings) *int64 { return &s.WALBytes }),
	integer("max-open-files", "4096", "table files that stay open", 64, func(s *Settings) *int { return &s.MaxOpenFiles }),
	integer("background-jobs", "0", "threads that flush and compact (0: by the number of CPUs)", 0, func(s *Settings) *int { return &s.BackgroundJobs }),
	integer("disk-full-percent", "90", "refuse writes on a disk that is used to this share, if", 1, func(s *Settings) *int { return &s.DiskFullPercent }),
	bytes("disk-full-free", "8GiB", "less than this is left on it", func(s *Settings) *int64 { return &s.DiskFullFreeBytes }),
	duration("disk-stall-warn", "2s", "warn when a synced write takes this long", func(s *Settings) *time.Duration { return &s.DiskStallWarn }),
	duration("disk-stall-exit", "10s", "end the process when a synced write takes this long", func(s *Settings) *time.Duration { return &s.DiskStallExit }),
	boolean("accept-data-loss", "false", "open a store that lost synced writes; what is left becomes the truth", func(s *Settings) *bool { return &s.AcceptDataLoss }),
	duration("session-idle", "10m0s", "how long a client's session lives without a write", func(s *Settings) *time.Duration { return &s.SessionIdle }),
	duration("max-clock-offset", "500ms", "how far timestamps of others may be ahead of this clock", func(s *Settings) *time.Duration { return &s.MaxClockOffset }),
	duration("max-clock-jump", "0s", "stop serving when this clock steps forward by more (0s: never)", func(s *Settings) *time.Duration { return &s.MaxClockJump }),
	integer("max-connections", "4096", "connections at a time", 1, func(s *Settings) *int { return &s.MaxConnections }),
	integer("max-pairs", "3072", "stream pairs of one connection, about 15 KiB each", 1, func(s *Settings) *int { return &s.MaxPairs }),
	integer("max-requests", "4096", "requests of one connection at a time", 1, func(s *Settings) *int { return &s.MaxRequests }),
	bytes("max-message-bytes", "17MiB", "one message", func(s *Settings) *int64 { return &s.MaxMessageBytes }),
	bytes("message-memory-bytes", "48MiB", "received messages that are held at a time", func(s *Settings) *int64 { return &s.MessageMemoryBytes }),
	text("qlog-dir", "", "write a trace of each connection to this directory", func(s *Settings) *string { return &s.QLogDir }),
}

func text(name, def, help string, at func(*Settings) *string) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error { *at(s) = v; return nil },
		get: func(s *Settings) string { return *at(s) },
	}
}

func boolean(name, def, help string, at func(*Settings) *bool) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error {
			if v != "true" && v != "false" {
				return fmt.Errorf("%q is neither true nor false", v)
			}
			*at(s) = v == "true"
			return nil
		},
		get: func(s *Settings) string { return strconv.FormatBool(*at(s)) },
	}
}

func duration(name, def, help string, at func(*Settings) *time.Duration) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 {
				return fmt.Errorf("%q is no time such as 500ms, 10s or 1m30s", v)
			}
			*at(s) = d
			return nil
		},
		get: func(s *Settings) string { return at(s).String() },
	}
}

func integer(name, def, help string, least int, at func(*Settings) *int) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error {
			n, err := strconv.ParseInt(v, 10, 32)
			if err != nil || n < int64(least) {
				return fmt.Errorf("%q is no number from %d to 2147483647", v, least)
			}
			*at(s) = int(n)
			return nil
		},
		get: func(s *Settings) string { return strconv.Itoa(*at(s)) },
	}
}

func level(name, def, help string, at func(*Settings) *slog.Level) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error {
			if !slices.Contains([]string{"debug", "info", "warn", "error"}, v) {
				return fmt.Errorf("%q is none of debug, info, warn, error", v)
			}
			return at(s).UnmarshalText([]byte(v))
		},
		get: func(s *Settings) string { return strings.ToLower(at(s).String()) },
	}
}

// units of sizes, largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// ParseBytes reads a size: a whole number of bytes, or with a unit: 64KiB, 256MiB, 8GiB, 1TiB.
func ParseBytes(v string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(v, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, fmt.Errorf("%w: %q is no size such as 64KiB, 256MiB or 8GiB", base.ErrInvalid, v)
}

// FormatBytes writes a size with the largest unit that divides it.
func FormatBytes(n int64) string {
	for _, u := range units {
		if n > 0 && n%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func bytes(name, def, help string, at func(*Settings) *int64) Definition {
	return Definition{
		Name: name, Default: def, Help: help,
		set: func(s *Settings, v string) error {
			n, err := ParseBytes(v)
			if err != nil {
				return err
			}
			*at(s) = n
			return nil
		},
		get: func(s *Settings) string { return FormatBytes(*at(s)) },
	}
}
