package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

var settings = []Setting{
	{Name: "dir", Default: "d0"},
	{Name: "no-color", Default: "false"},
	{Name: "n", Default: "1", Check: func(s string) error {
		if s == "bad" {
			return errors.New("no number")
		}
		return nil
	}},
}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func file(t *testing.T, text string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return File{Path: path}
}

// TestPrecedence removes the winning source one by one: the next in the order takes over.
func TestPrecedence(t *testing.T) {
	first, second := file(t, "# settings\n\ndir = \"f1\" # here\n"), file(t, "dir = 'f2'\nno-color=true\nn = 1_000")
	flags := map[string]string{"dir": "fl"}
	env := map[string]string{"PLEIADES_DIR": "en", "PLEIADES_NO_COLOR": ""}
	for i, want := range []Value{
		{Text: "fl", Origin: "flag --dir"},
		{Text: "en", Origin: "PLEIADES_DIR"},
		{Text: "f1", Origin: first.Path + ":3"},
		{Text: "f2", Origin: second.Path + ":1"},
		{Text: "d0", Origin: "default"},
	} {
		src := Sources{Flag: lookup(flags), Env: lookup(env), Files: []File{first, second}}
		switch i {
		case 1:
			delete(flags, "dir")
		case 2:
			delete(env, "PLEIADES_DIR")
		case 3:
			src.Files = src.Files[1:]
		case 4:
			src.Files = nil
		}
		c, err := Resolve(settings, src)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Get("dir"); got.Text != want.Text || got.Origin != want.Origin {
			t.Errorf("%d: %q from %s, want %q from %s", i, got.Text, got.Origin, want.Text, want.Origin)
		}
		if i == 0 {
			if got := c.Get("no-color"); got.Text != "true" || got.Origin != second.Path+":2" {
				t.Errorf("an empty variable counts as set: %+v", got)
			}
			if got := c.Get("n"); got.Text != "1000" || len(c.All()) != 3 || c.Get("none").Text != "" {
				t.Errorf("%+v", c.All())
			}
		}
	}
}

func TestFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"dir":                      ":1: \"dir\" is no setting",
		"\n= 3":                    ":2: \"= 3\" is no setting",
		"[table]":                  ":1: tables",
		"dirr = 1":                 ":1: unknown setting",
		"dir = 1\ndir = 2":         ":2: \"dir\" is set already in",
		"dir =":                    ":1: dir: no value",
		"dir = text":               ":1: dir: \"text\" is no value",
		"dir = \"x":                ":1: dir: a string without",
		"dir = 'x":                 ":1: dir: a string without",
		"dir = 'x' y":              ":1: dir: \"y\" behind",
		"dir = \"a\\q\"":           ":1: dir: a string without",
		"dir = # nothing":          ":1: dir: \"\" is no value",
		strings.Repeat("#\n", 1e6): "longer than 1 MiB",
	} {
		_, err := Resolve(settings, Sources{Files: []File{file(t, text)}})
		code, fix := exit.Of(err)
		if code != exit.Usage || fix == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v (code %d)", text, err, code)
		}
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := Resolve(settings, Sources{Files: []File{{Path: missing, Optional: true}}}); err != nil {
		t.Errorf("an optional file: %v", err)
	}
	if _, err := Resolve(settings, Sources{Files: []File{{Path: missing}}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Resolve(settings, Sources{Files: []File{{Path: t.TempDir()}}}); err == nil {
		t.Error("a directory was read")
	}
}

// TestOthersSettings: a file may hold what another command asks for; a near miss is told what was meant.
func TestOthersSettings(t *testing.T) {
	f := file(t, "listen = \"x\"\ndir = \"d\"")
	c, err := Resolve(settings, Sources{Files: []File{f}, Others: []string{"listen"}})
	if err != nil || c.Get("dir").Text != "d" || c.Get("listen").Text != "" {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = Resolve(settings, Sources{Files: []File{file(t, "lisen = 1")}, Others: []string{"listen"}})
	if _, fix := exit.Of(err); fix != "did you mean: listen" {
		t.Errorf("%v: %s", err, fix)
	}
	if near := Near("colour", []string{"dir", "n"}); near != "" {
		t.Errorf("colour is near %s", near)
	}
}

// TestCheckNamesTheOrigin: a bad value says who set it.
func TestCheckNamesTheOrigin(t *testing.T) {
	_, err := Resolve(settings, Sources{Env: lookup(map[string]string{"PLEIADES_N": "bad"})})
	if !errors.Is(err, base.ErrInvalid) || !strings.Contains(err.Error(), "n from PLEIADES_N: no number") {
		t.Fatal(err)
	}
}

// FuzzParse: no text panics, and what is read is what was written.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"dir = \"x\" # y", "n=1_0", "no-color = true", "[t]", "dir='", "= \n#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parse("f", text, settings, nil)
		if err != nil {
			if code, fix := exit.Of(err); code != exit.Usage || fix == "" {
				t.Fatalf("%v: code %d", err, code)
			}
			return
		}
		var again strings.Builder
		for name, e := range got {
			again.WriteString(name + " = " + strconv.Quote(e.text) + "\n")
		}
		back, err := parse("f", again.String(), settings, nil)
		if err != nil || len(back) != len(got) {
			t.Fatalf("%q: %v", again.String(), err)
		}
		for name, e := range got {
			if back[name].text != e.text {
				t.Fatalf("%s: %q became %q", name, e.text, back[name].text)
			}
		}
	})
}
