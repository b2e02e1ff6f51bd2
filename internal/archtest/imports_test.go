package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pkg is what `go list -json` says of one package; the names are go list's.
type pkg struct {
	ImportPath, Dir, Name, Doc         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
	GoFiles, CgoFiles                  []string
	TestGoFiles, XTestGoFiles          []string
}

// rel is the package's path inside the module; the module's root is ".".
func (p pkg) rel() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func (p pkg) allImports() []string { return slices.Concat(p.Imports, p.TestImports, p.XTestImports) }

// root is the module's root directory, seen from this package's.
var root = filepath.Join("..", "..")

// packages lists the module's packages once for all tests.
var packages = sync.OnceValues(func() ([]pkg, error) {
	const fields = "-json=ImportPath,Dir,Name,Doc,Imports,TestImports,XTestImports,Deps,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles"
	cmd := exec.Command("go", "list", fields, "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New(err.Error() + ": " + stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); err {
		case nil:
			all = append(all, p)
		case io.EOF:
			return all, nil
		default:
			return nil, err
		}
	}
})

func mustPackages(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages: too few to believe that the rules were checked", len(all))
	}
	return all
}

// under reports whether path is one of the names or lies below one.
func under(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return path == name || strings.HasPrefix(path, name+"/")
	})
}

// matches reports whether rel is one of the patterns; "x/..." matches x and what is below it.
func matches(rel string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
			return under(rel, []string{prefix})
		}
		return rel == pattern
	})
}

// rulesOf finds a package's row: its own, or that of the nearest directory above with "/...".
func rulesOf(rel string) (rules, bool) {
	if r, ok := houseRules[rel]; ok {
		return r, true
	}
	for dir := rel; dir != "."; dir = filepath.ToSlash(filepath.Dir(dir)) {
		if r, ok := houseRules[dir+"/..."]; ok {
			return r, true
		}
	}
	return rules{}, false
}

// isStd reports whether an import path is of the standard library: its first element has no dot.
func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func TestEveryPackageHasItsPlace(t *testing.T) {
	for _, p := range mustPackages(t) {
		if _, ok := rulesOf(p.rel()); !ok {
			t.Errorf("%s has no row in houseRules (house_test.go): say what it may import", p.rel())
		}
	}
}

func TestImportsPointDownwards(t *testing.T) {
	for _, p := range mustPackages(t) {
		r, ok := rulesOf(p.rel())
		if !ok {
			continue // TestEveryPackageHasItsPlace says so
		}
		check := func(imports, modules []string, where string) {
			for _, path := range imports {
				if rel, ours := strings.CutPrefix(path, module+"/"); ours {
					if rel != p.rel() && !matches(rel, r.own) {
						t.Errorf("%s imports %s%s: its row in houseRules does not allow that", p.rel(), rel, where)
					}
					continue
				}
				if path == "C" || path == grocksdb {
					continue // TestOnlyEngineTouchesC
				}
				if !isStd(path) && !under(path, modules) {
					t.Errorf("%s imports %s%s: its row in houseRules does not allow that module", p.rel(), path, where)
				}
			}
		}
		check(p.Imports, r.modules, "")
		tests := slices.Concat(r.modules, testModules)
		check(p.TestImports, tests, " in a test")
		check(p.XTestImports, tests, " in a test")
	}
}

func TestEmbeddingStaysSmall(t *testing.T) {
	seen := 0
	for _, p := range mustPackages(t) {
		if !matches(p.rel(), embedded) {
			continue
		}
		seen++
		for _, dep := range p.Deps {
			if under(dep, unreachable) && !slices.Contains(reachable, dep) {
				t.Errorf("%s pulls in %s; `go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./%s` shows through whom",
					p.rel(), dep, p.rel())
			}
		}
	}
	if seen != len(embedded) {
		t.Errorf("checked %d of the %d embedded packages", seen, len(embedded))
	}
}

func TestClientsDoNotLinkTheStore(t *testing.T) {
	for _, p := range mustPackages(t) {
		if !matches(p.rel(), remote) {
			continue
		}
		if len(p.Deps) < 50 {
			t.Errorf("%s has %d dependencies: too few to believe that they were listed", p.rel(), len(p.Deps))
		}
		for _, dep := range p.Deps {
			if under(dep, unlinked) {
				t.Errorf("%s pulls in %s, and with it RocksDB", p.rel(), dep)
			}
		}
	}
}

func TestOnlyEngineTouchesC(t *testing.T) {
	for _, p := range mustPackages(t) {
		for _, path := range p.allImports() {
			if (path == grocksdb || path == "C") && p.rel() != "engine" {
				t.Errorf("%s imports %s: only engine may, so that every C object is owned and counted in one place",
					p.rel(), path)
			}
		}
	}
}

// TestTheRulesBite feeds the helpers what they must refuse: a checker that accepts everything is green as well.
func TestTheRulesBite(t *testing.T) {
	if under("network", []string{"net"}) || !under("net/http", []string{"net"}) || !under("net", []string{"net"}) {
		t.Error("under: wrong answer")
	}
	if matches("apix", []string{"api/..."}) || !matches("api/storage/v1", []string{"api/..."}) || matches("engine/x", []string{"engine"}) {
		t.Error("matches: wrong answer")
	}
	if _, ok := rulesOf("somewhere/new"); ok {
		t.Error("rulesOf: a package that nobody listed has a row")
	}
	if _, ok := rulesOf("api/storage/v1"); !ok {
		t.Error("rulesOf: a package below api has no row")
	}
	if isStd("github.com/x/y") || !isStd("encoding/json") {
		t.Error("isStd: wrong answer")
	}
}
