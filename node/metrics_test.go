package node

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

// TestMetricsPageListsThem holds docs/metrics.md to what a node shows: each of our metrics with its kind and its help, and
// no other.
func TestMetricsPageListsThem(t *testing.T) {
	n := begin(t, small(t.TempDir()))
	p := open(t, connect(t, n), wire.ServiceSystem)
	if _, _, err := p.Call(t.Context(), system.Health, nil, nil); err != nil { // so that requests are counted
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(pleiades_[a-z_]+)`[^|]*\\| ([a-z]+) \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		listed[m[1]] = m[2] + " | " + m[3]
	}
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "pleiades_") {
			continue
		}
		if want := strings.ToLower(f.GetType().String()) + " | " + f.GetHelp(); listed[f.GetName()] != want {
			t.Errorf("docs/metrics.md: %s is %q, want %q", f.GetName(), listed[f.GetName()], want)
		}
		delete(listed, f.GetName())
	}
	for name := range listed {
		t.Errorf("docs/metrics.md lists %s, which no node shows", name)
	}
}
