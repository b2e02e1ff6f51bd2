package archtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pathInText matches the name of a file with its directory, as documents quote it.
var pathInText = regexp.MustCompile("`([a-z_0-9]+(?:/[A-Za-z_0-9.-]+)+\\.(?:go|cc|md|golden|json|mod|proto))`")

func TestDocumentsNameRealFiles(t *testing.T) {
	named := 0
	walk(t, func(rel string, content []byte) {
		if filepath.Ext(rel) != ".md" {
			return
		}
		for _, match := range pathInText.FindAllSubmatch(content, -1) {
			named++
			path := string(match[1])
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(path))); err != nil {
				t.Errorf("%s names %s: %v", rel, path, err)
			}
		}
	})
	if named < 10 {
		t.Errorf("found %d names of files in documents: too few to believe that they were read", named)
	}
}

// TestREADMEProgramRuns builds and runs the Go program that the README shows.
func TestREADMEProgramRuns(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := indentedBlock(string(readme), "import (")
	if program == "" {
		t.Fatal("the README shows no Go program")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\n"+program), 0o600); err != nil {
		t.Fatal(err)
	}
	// The overlay puts the file into this module, where its imports resolve, without touching the tree.
	inModule, err := filepath.Abs(filepath.Join("readme", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {inModule: source}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "readme")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", overlayFile, "-o", binary, "./readme").CombinedOutput(); err != nil {
		t.Fatalf("the README's program does not build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "hello, written ") {
		t.Fatalf("the README's program: %v, output:\n%s", err, out)
	}
}

// indentedBlock returns the Markdown code block, indented by four spaces, that begins with the line first.
func indentedBlock(text, first string) string {
	const indent = "    "
	var block strings.Builder
	for line := range strings.Lines(text) {
		body, indented := strings.CutPrefix(line, indent)
		switch {
		case block.Len() == 0 && (!indented || strings.TrimSpace(body) != first):
		case indented:
			block.WriteString(body)
		case strings.TrimSpace(line) == "":
			block.WriteString("\n")
		default:
			return block.String()
		}
	}
	return block.String()
}
