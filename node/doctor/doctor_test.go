package doctor_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/node/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// healthy is a machine without faults.
func healthy() doctor.System {
	return doctor.System{
		ReadFile:  func(string) ([]byte, error) { return []byte("7500000\n"), nil },
		Writable:  func(string) error { return nil },
		OpenFiles: func() (uint64, error) { return 65536, nil },
		Clock: func() (doctor.ClockState, error) {
			return doctor.ClockState{Synchronised: true, MaxError: 20 * time.Millisecond}, nil
		},
		FileSystem: func(string) (doctor.FileSystem, error) {
			return doctor.FileSystem{Type: "ext4", FreeBytes: 900 << 30, TotalBytes: 1000 << 30, FreeFiles: 9, TotalFiles: 10}, nil
		},
	}
}

// find returns the results with a name, and fails unless their worst verdict is want.
func find(t *testing.T, results []doctor.Result, name string, want doctor.Verdict) string {
	t.Helper()
	var sb strings.Builder
	var found []doctor.Result
	for _, r := range results {
		if r.Found == "" || (r.Fix == "") != (r.Verdict == doctor.OK) || r.Name == "" {
			t.Errorf("half a result: %+v", r)
		}
		if r.Name == name {
			found = append(found, r)
			fmt.Fprintf(&sb, "%s: %s; fix: %s\n", r.Verdict, r.Found, r.Fix)
		}
	}
	if len(found) == 0 || doctor.Worst(found) != want {
		t.Errorf("%s: want %s, got %q", name, want, sb.String())
	}
	return sb.String()
}

func TestMachine(t *testing.T) {
	no := errors.New("no such thing")
	year := func(y int) func() time.Time {
		return func() time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	state := func(s doctor.ClockState) func() (doctor.ClockState, error) {
		return func() (doctor.ClockState, error) { return s, nil }
	}
	files := func(n uint64) func() (uint64, error) { return func() (uint64, error) { return n, nil } }
	for _, c := range []struct {
		name   string
		change func(*doctor.Options)
		want   doctor.Verdict
		text   string
	}{
		{doctor.NameReceiveBuffer, func(*doctor.Options) {}, doctor.OK, "rmem_max is 7500000"},
		{doctor.NameReceiveBuffer, func(o *doctor.Options) {
			o.System.ReadFile = func(string) ([]byte, error) { return []byte("7499999\n"), nil }
		}, doctor.Warn, "sysctl -w"},
		{doctor.NameSendBuffer, func(o *doctor.Options) {
			o.System.ReadFile = func(string) ([]byte, error) { return nil, fs.ErrNotExist }
		}, doctor.Warn, "container"},
		{doctor.NameSendBuffer, func(o *doctor.Options) {
			o.System.ReadFile = func(string) ([]byte, error) { return []byte("many"), nil }
		}, doctor.Warn, "not known"},
		{doctor.NameOpenFiles, func(*doctor.Options) {}, doctor.OK, "65536"},
		{doctor.NameOpenFiles, func(o *doctor.Options) { o.System.OpenFiles = files(16383) }, doctor.Warn, "ulimit -n"},
		{doctor.NameOpenFiles, func(o *doctor.Options) { o.System.OpenFiles = files(1023) }, doctor.Fail, "1023"},
		{doctor.NameOpenFiles, func(o *doctor.Options) { o.System.OpenFiles = func() (uint64, error) { return 0, no } }, doctor.Warn, "not known"},
		{doctor.NameClockSync, func(*doctor.Options) {}, doctor.OK, "20ms"},
		{doctor.NameClockSync, func(o *doctor.Options) { o.Now = year(1970) }, doctor.Fail, "1970"},
		{doctor.NameClockSync, func(o *doctor.Options) { o.System.Clock = state(doctor.ClockState{}) }, doctor.Warn, "nothing keeps"},
		{doctor.NameClockSync, func(o *doctor.Options) {
			o.System.Clock = state(doctor.ClockState{Synchronised: true, MaxError: time.Second})
		}, doctor.Warn, "1s"},
		{doctor.NameClockSync, func(o *doctor.Options) {
			o.System.Clock = func() (doctor.ClockState, error) { return doctor.ClockState{}, no }
		}, doctor.Warn, "not known"},
		{doctor.NameStoreClock, func(o *doctor.Options) { o.StoreClock = func() error { return nil } }, doctor.OK, "not ahead"},
		{doctor.NameStoreClock, func(o *doctor.Options) { o.StoreClock = func() error { return no } }, doctor.Fail, "no such thing"},
		{doctor.NameLibrary, func(o *doctor.Options) { o.Library = &doctor.Library{Version: "7.8.3"} }, doctor.OK, "7.8.3"},
		{doctor.NameLibrary, func(o *doctor.Options) { o.Library = &doctor.Library{Version: "7.8.3", Asserts: true} }, doctor.Warn, "make rocksdb"},
	} {
		o := &doctor.Options{System: healthy()}
		c.change(o)
		if got := find(t, doctor.Run(o), c.name, c.want); !strings.Contains(got, c.text) {
			t.Errorf("%s: %q is not in %q", c.name, c.text, got)
		}
	}
}

func TestDisk(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name string
		f    doctor.FileSystem
		want doctor.Verdict
	}{
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 50 * gib, TotalBytes: 100 * gib}, doctor.OK},
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 9 * gib, TotalBytes: 1000 * gib}, doctor.Warn},
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 20 * gib, TotalBytes: 1000 * gib}, doctor.OK}, // percent alone is no reason
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 7 * gib, TotalBytes: 1000 * gib}, doctor.Fail},
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 0, TotalBytes: 10}, doctor.Fail},
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 3 * gib, TotalBytes: 10 * gib}, doctor.OK},
		{doctor.NameDiskSpace, doctor.FileSystem{FreeBytes: 50 * gib, TotalBytes: 100 * gib, FreeFiles: 4, TotalFiles: 100}, doctor.Warn},
		{doctor.NameDiskSpace, doctor.FileSystem{}, doctor.OK},
		{doctor.NameFileSystem, doctor.FileSystem{Type: "xfs"}, doctor.OK},
		{doctor.NameFileSystem, doctor.FileSystem{Type: "tmpfs"}, doctor.Warn},
		{doctor.NameFileSystem, doctor.FileSystem{Type: "nfs"}, doctor.Warn},
		{doctor.NameFileSystem, doctor.FileSystem{Type: "0x1234"}, doctor.OK},
	} {
		o := &doctor.Options{System: healthy(), DataDir: t.TempDir()}
		o.System.FileSystem = func(string) (doctor.FileSystem, error) { return c.f, nil }
		find(t, doctor.Run(o), c.name, c.want)
	}
	o := &doctor.Options{System: healthy(), DataDir: t.TempDir()}
	o.System.FileSystem = func(string) (doctor.FileSystem, error) { return doctor.FileSystem{}, errors.New("no") }
	find(t, doctor.Run(o), doctor.NameDiskSpace, doctor.Warn)
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	run := func(path string, mode fs.FileMode, want doctor.Verdict) {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		find(t, doctor.Run(&doctor.Options{System: healthy(), DataDir: path}), doctor.NameDataDir, want)
		want = max(want, doctor.OK)
		find(t, doctor.Run(&doctor.Options{System: healthy(), CertsDir: path}), doctor.NameCertsDir, want)
	}
	run(dir, 0o700, doctor.OK)
	run(dir, 0o750, doctor.Warn)
	run(dir, 0o777, doctor.Fail)
	run(filepath.Join(dir, "a", "b"), 0o700, doctor.OK)
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("a directory was made")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	find(t, doctor.Run(&doctor.Options{System: healthy(), DataDir: file}), doctor.NameDataDir, doctor.Fail)
	o := &doctor.Options{System: healthy(), DataDir: dir}
	o.System.Writable = func(string) error { return fs.ErrPermission }
	find(t, doctor.Run(o), doctor.NameDataDir, doctor.Fail)
	o = &doctor.Options{System: healthy(), DataDir: dir}
	o.System.Stat = func(string) (fs.FileInfo, error) { return nil, fs.ErrPermission }
	find(t, doctor.Run(o), doctor.NameDataDir, doctor.Fail)
}

func TestCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	now := time.Now()
	run := func(advertise ...string) []doctor.Result {
		return doctor.Run(&doctor.Options{System: healthy(), CertsDir: dir, Advertise: advertise, Now: func() time.Time { return now }})
	}
	find(t, run("127.0.0.1", "localhost", "[::1]"), doctor.NameCertificates, doctor.OK)
	find(t, run("db.example.com"), doctor.NameCertificates, doctor.Fail)
	must := func(_ certs.Info, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(certs.CreateCA(dir, nil))
	must(certs.CreateNode(dir, &certs.LeafOptions{Name: "n1", Hosts: []string{"db.example.com", "*.db.example.com", "192.0.2.7", "::1"}}))
	must(certs.CreateClient(dir, &certs.LeafOptions{TTL: 90 * 24 * time.Hour}))
	find(t, run(), doctor.NameCertificates, doctor.OK)
	find(t, run("DB.example.com", "a.db.example.com", "::ffff:192.0.2.7", "[::1]"), doctor.NameAdvertise, doctor.OK)
	for _, host := range []string{"example.com", "a.b.db.example.com", "192.0.2.8", "xdb.example.com"} {
		if got := find(t, run(host), doctor.NameAdvertise, doctor.Fail); !strings.Contains(got, "--san db.example.com,*.db.example.com,192.0.2.7,::1,"+host) {
			t.Error(got)
		}
	}
	find(t, run(), doctor.NameCAKey, doctor.Warn)
	if err := os.WriteFile(filepath.Join(dir, "self-made"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	find(t, run(), doctor.NameCAKey, doctor.OK)
	if err := os.Rename(filepath.Join(dir, "ca.key"), filepath.Join(t.TempDir(), "ca.key")); err != nil {
		t.Fatal(err)
	}
	find(t, run(), doctor.NameCAKey, doctor.OK)

	now = now.Add(61 * 24 * time.Hour)
	if got := find(t, run(), doctor.NameCertificates, doctor.Warn); !strings.Contains(got, "rotate --client root") || !strings.Contains(got, "28 days") {
		t.Error(got)
	}
	now = now.Add(30 * 24 * time.Hour)
	if got := find(t, run(), doctor.NameCertificates, doctor.Fail); !strings.Contains(got, "expired") {
		t.Error(got)
	}
	now = time.Now()
	if err := os.Chmod(filepath.Join(dir, "node.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := find(t, run(), doctor.NameCertificates, doctor.Fail); !strings.Contains(got, "chmod 600") || strings.Count(got, "fix:") != 1 {
		t.Error(got)
	}
}

// TestOnThisMachine asks the real machine: every check comes to a verdict, and what is known of any Linux is found.
func TestOnThisMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	results := doctor.Run(&doctor.Options{DataDir: dir, CertsDir: filepath.Join(t.TempDir(), "none")})
	if len(results) != 9 {
		t.Errorf("%d results: %+v", len(results), results)
	}
	for _, r := range results {
		if runtime.GOOS == "linux" && strings.HasPrefix(r.Found, "not known") && !strings.Contains(r.Name, "buffer") {
			t.Errorf("%+v", r)
		}
	}
	if runtime.GOOS == "linux" {
		find(t, results, doctor.NameDataDir, doctor.Warn) // others can read it
	}
	if len(doctor.Run(nil)) != 4 {
		t.Error("the machine alone has four checks")
	}
	if doctor.Worst(nil) != doctor.OK || doctor.Verdict(9).String() != "verdict 9" {
		t.Error("verdicts")
	}
}

// A machine with a small buffer: what was found, and the command that helps.
func ExampleRun() {
	system := healthy()
	system.ReadFile = func(string) ([]byte, error) { return []byte("212992"), nil }
	results := doctor.Run(&doctor.Options{System: system})
	for _, r := range results {
		fmt.Println(r.Verdict, r.Name)
	}
	fmt.Println(doctor.Worst(results), results[0].Found)
	// Output:
	// warn udp-receive-buffer
	// warn udp-send-buffer
	// ok open-files
	// ok clock-sync
	// warn net.core.rmem_max is 212992 bytes, QUIC wants 7500000: packets are lost under load
}
