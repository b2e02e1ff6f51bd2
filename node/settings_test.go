package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client/contexts"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/node"
)

// TestDefaultsAreWhatTheySay: the text of each default, read back from the settings that it made, means the same.
func TestDefaultsAreWhatTheySay(t *testing.T) {
	s := node.Defaults()
	for _, d := range node.Definitions() {
		other := node.Defaults()
		if err := other.Set(d.Name, s.Get(d.Name)); err != nil || other.Get(d.Name) != s.Get(d.Name) {
			t.Errorf("%s: %q is read back as %q, %v", d.Name, s.Get(d.Name), other.Get(d.Name), err)
		}
		if d.Help == "" || strings.Contains(d.Help, "\n") {
			t.Errorf("%s needs one line of help", d.Name)
		}
	}
	if s.DrainTimeout != 10*time.Second || s.CacheBytes != 256<<20 || !s.EarlyData {
		t.Errorf("%+v", s)
	}
	if contexts.DefaultUser != certs.DefaultClient {
		t.Errorf("a context means the client %s, a first start makes %s", contexts.DefaultUser, certs.DefaultClient)
	}
}

func TestSetRefuses(t *testing.T) {
	for name, values := range map[string][]string{
		"none":                  {"1"},
		"early-data":            {"", "yes", "TRUE"},
		"drain-timeout":         {"", "10", "-1s", "x"},
		"log-level":             {"", "loud", "INFO+1"},
		"cache-bytes":           {"", "-1", "1.5GiB", "1GB", "99999999999TiB", "MiB"},
		"max-open-files":        {"", "63", "x", "99999999999"},
		"admin-beyond-loopback": {"1"},
	} {
		for _, v := range values {
			if err := node.Defaults().Set(name, v); !errors.Is(err, node.ErrSettings) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s = %q: %v", name, v, err)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "7": 7, "7B": 7, "64KiB": 64 << 10, "3 MiB": 3 << 20, "8GiB": 8 << 30, "1TiB": 1 << 40} {
		if got, err := node.ParseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<61).Draw(t, "n")
		if got, err := node.ParseBytes(node.FormatBytes(n)); err != nil || got != n {
			t.Fatalf("%d is written %s and read %d, %v", n, node.FormatBytes(n), got, err)
		}
	})
}

// TestStartRefusesSettings: all faults come at once, before anything is touched.
func TestStartRefusesSettings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s := node.Defaults()
	s.Dir, s.Listen, s.Admin, s.Advertise, s.LogFormat, s.CertsReload = dir, "7420", "0.0.0.0:7421", "db1", "xml", 0
	s.DiskStallWarn, s.DiskStallExit = time.Second, time.Millisecond
	_, err := node.Start(t.Context(), s)
	if !errors.Is(err, node.ErrSettings) || !errors.Is(err, base.ErrInvalid) {
		t.Fatal(err)
	}
	for _, part := range []string{"listen: ", "admin: ", "--admin-beyond-loopback", "advertise: ", "log-format: ", "certs-reload: ", "disk-stall-exit: "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

// TestOperationsListsTheSettings holds docs/operations.md to the code: each setting with its default, and no other.
func TestOperationsListsTheSettings(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (?:`([^`]*)`)? *\\|").FindAllStringSubmatch(string(page), -1) {
		listed[m[1]] = m[2]
	}
	for _, d := range node.Definitions() {
		def, ok := listed[d.Name]
		if !ok || def != d.Default {
			t.Errorf("docs/operations.md: want a row | `%s` | `%s` | …, have %q (%v)", d.Name, d.Default, def, ok)
		}
		delete(listed, d.Name)
	}
	delete(listed, "save-context")
	for name := range listed {
		t.Errorf("docs/operations.md lists %s, which is no setting", name)
	}
}
