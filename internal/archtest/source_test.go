package archtest

import (
	"bytes"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxLines     = 400
	maxTestLines = 600
)

// walk calls fn for every file of the tree that belongs to the source: no build output, no fetched tools, no .git.
// rel is the path from the root, with slashes.
func walk(t *testing.T, fn func(rel string, content []byte)) {
	t.Helper()
	skip := []string{".git", "bin", ".cache", "node_modules", "coverage"}
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && slices.Contains(skip, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files++
		fn(filepath.ToSlash(rel), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("found %d files: too few to believe that the tree was read", files)
	}
}

// generatedMark is how generated Go files say that they are, by convention of the go command.
var generatedMark = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func generated(content []byte) bool { return generatedMark.Match(content) }

// walkGo parses every Go file that people wrote.
func walkGo(t *testing.T, fn func(rel string, fset *token.FileSet, file *ast.File, content []byte)) {
	t.Helper()
	walk(t, func(rel string, content []byte) {
		if !strings.HasSuffix(rel, ".go") || generated(content) {
			return
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, rel, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		fn(rel, fset, file, content)
	})
}

// find returns the position of the first node that matches, or NoPos.
func find(in ast.Node, match func(ast.Node) bool) token.Pos {
	pos := token.NoPos
	ast.Inspect(in, func(n ast.Node) bool {
		if n != nil && pos == token.NoPos && match(n) {
			pos = n.Pos()
		}
		return pos == token.NoPos
	})
	return pos
}

func isSelector(n ast.Node, pkg, name string) bool {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// sleeps returns the position of a call of time.Sleep in a function that has no bubble of testing/synctest, in which
// time is virtual and sleeping costs nothing.
func sleeps(file *ast.File) token.Pos {
	for _, decl := range file.Decls {
		pos := find(decl, func(n ast.Node) bool { return isSelector(n, "time", "Sleep") })
		if pos != token.NoPos && find(decl, func(n ast.Node) bool { return isSelector(n, "synctest", "Test") }) == token.NoPos {
			return pos
		}
	}
	return token.NoPos
}

func isIota(n ast.Node) bool {
	id, ok := n.(*ast.Ident)
	return ok && id.Name == "iota"
}

func TestNoIota(t *testing.T) {
	walkGo(t, func(_ string, fset *token.FileSet, file *ast.File, _ []byte) {
		if pos := find(file, isIota); pos != token.NoPos {
			t.Errorf("%v: iota: write the numbers out, so that inserting a line renumbers nothing", fset.Position(pos))
		}
	})
}

func TestNoSleepInTests(t *testing.T) {
	walkGo(t, func(rel string, fset *token.FileSet, file *ast.File, _ []byte) {
		if !strings.HasSuffix(rel, "_test.go") {
			return
		}
		if pos := sleeps(file); pos != token.NoPos {
			t.Errorf("%v: time.Sleep in a test: wait for a condition, or use testing/synctest or a manual clock",
				fset.Position(pos))
		}
	})
}

// machinePath matches an absolute path into a directory that only one machine has; mirror the address of a package
// mirror. The patterns are put together here so that this file does not match itself.
var (
	machinePath = regexp.MustCompile(`(?:^|[\s"'` + "`" + `=(:,])/(?:wor` + `k|tm` + `p|roo` + `t|hom` + `e)/[A-Za-z0-9_.$]`)
	mirror      = regexp.MustCompile(`(?:proxy\.gol` + `ang\.org|registry\.np` + `mjs|deb\.deb` + `ian\.org|GOPRO` + `XY=http)`)
)

func TestNoMachinePaths(t *testing.T) {
	walk(t, func(rel string, content []byte) {
		if bytes.IndexByte(content, 0) >= 0 {
			return // not text
		}
		for i, line := range strings.Split(string(content), "\n") {
			if machinePath.MatchString(line) {
				t.Errorf("%s:%d: the path of one machine: %s", rel, i+1, strings.TrimSpace(line))
			}
			if mirror.MatchString(line) {
				t.Errorf("%s:%d: the address of a package mirror: %s", rel, i+1, strings.TrimSpace(line))
			}
		}
	})
}

func TestFilesAreShort(t *testing.T) {
	seen := map[string]int{}
	walk(t, func(rel string, content []byte) {
		limit := maxLines
		switch ext := filepath.Ext(rel); {
		case strings.HasSuffix(rel, "_test.go"):
			limit = maxTestLines
		case ext == ".go" || ext == ".cc" || ext == ".c" || ext == ".h" || ext == ".proto":
		default:
			return
		}
		if generated(content) {
			return
		}
		lines := bytes.Count(content, []byte("\n"))
		seen[rel] = lines
		exception, listed := longFiles[rel]
		switch {
		case listed && lines <= limit:
			t.Errorf("%s has %d lines and needs no entry in longFiles any more", rel, lines)
		case listed && lines > exception.limit:
			t.Errorf("%s has %d lines; its exception allows %d (%s)", rel, lines, exception.limit, exception.reason)
		case !listed && lines > limit:
			t.Errorf("%s has %d lines; the limit is %d: one noun a file", rel, lines, limit)
		}
	})
	for rel := range longFiles {
		if _, ok := seen[rel]; !ok {
			t.Errorf("longFiles names %s, which is not there", rel)
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range mustPackages(t) {
		rel := p.rel()
		r, _ := rulesOf(rel)
		if matches(rel, []string{"api/..."}) {
			continue // generated; the .proto files hold the comments
		}
		if p.Doc == "" {
			t.Errorf("%s: `go doc` shows no package comment (a blank line before the package clause hides it)", rel)
		}
		if p.Name != "main" && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go", rel)
		}
		if r.noExample != "" {
			continue
		}
		if !hasExample(t, p) {
			t.Errorf("%s has no Example with an `// Output:` comment", rel)
		}
	}
}

// hasExample reports whether one of the package's test files holds an example that `go test` runs.
func hasExample(t *testing.T, p pkg) bool {
	t.Helper()
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		path := filepath.Join(p.Dir, name)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range doc.Examples(file) {
			if example.Output != "" || example.EmptyOutput {
				return true
			}
		}
	}
	return false
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	walkGo(t, func(rel string, fset *token.FileSet, file *ast.File, _ []byte) {
		if strings.HasSuffix(rel, "_test.go") || file.Name.Name == "main" {
			return
		}
		for _, decl := range file.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%v: %s is exported and has no comment", fset.Position(decl.Pos()), name)
			}
		}
	})
}

// undocumented lists the exported names of a declaration that have no comment. A comment on a group of constants or
// variables covers the whole group.
func undocumented(decl ast.Decl) []string {
	var names []string
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				if d.Doc != nil || s.Doc != nil || s.Comment != nil {
					continue
				}
				for _, name := range s.Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// wellKnown reports whether a method needs no words because an interface that everybody knows says what it does.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap"}, d.Name.Name)
}

// exportedReceiver reports whether a function is seen from outside: it has no receiver, or one of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	expr := d.Recv.List[0].Type
	for {
		switch x := expr.(type) {
		case *ast.StarExpr:
			expr = x.X
		case *ast.IndexExpr:
			expr = x.X
		case *ast.IndexListExpr:
			expr = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// TestTheScansBite gives each scan a source that it must refuse.
func TestTheScansBite(t *testing.T) {
	const bad = "package x\n\nimport \"time\"\n\nconst A = iota\n\nfunc F() { time.Sleep(1) }\n\ntype T struct{}\n"
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", bad, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if find(file, isIota) == token.NoPos {
		t.Error("iota not seen")
	}
	if sleeps(file) == token.NoPos {
		t.Error("time.Sleep not seen")
	}
	virtual, err := parser.ParseFile(token.NewFileSet(), "y.go",
		"package x\n\nfunc G() { synctest.Test(nil, func() { time.Sleep(1) }) }\n", parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if sleeps(virtual) != token.NoPos {
		t.Error("time.Sleep in a synctest bubble counts")
	}
	var names []string
	for _, decl := range file.Decls {
		names = append(names, undocumented(decl)...)
	}
	if want := []string{"A", "F", "T"}; !slices.Equal(names, want) {
		t.Errorf("undocumented names %v, want %v", names, want)
	}
	for _, dir := range []string{"wor" + "k", "tm" + "p", "roo" + "t"} {
		if !machinePath.MatchString(`open("/` + dir + `/x")`) {
			t.Errorf("/%s not seen", dir)
		}
	}
	if machinePath.MatchString("see net/tmp"+"/x") || machinePath.MatchString("a /tmp"+" directory") {
		t.Error("a relative path or a bare name counts as a machine path")
	}
}
