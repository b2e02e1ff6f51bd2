package contexts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client/contexts"
)

func env(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestHome(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"PLEIADES_CONFIG_HOME": "c", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "c"},
		{map[string]string{"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/pleiades"},
		{map[string]string{"XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/pleiades"},
		{map[string]string{"PLEIADES_CONFIG_HOME": "", "HOME": "/h"}, "/h/.config/pleiades"},
	} {
		if got, err := contexts.Home(env(tt.env)); got != tt.want || err != nil {
			t.Errorf("%v: %q, %v; want %q", tt.env, got, err, tt.want)
		}
	}
	if _, err := contexts.Home(env(nil)); !errors.Is(err, contexts.ErrNotFound) {
		t.Errorf("no HOME: %v", err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new", "pleiades")
	if _, err := contexts.Read(home, ""); !errors.Is(err, base.ErrNotFound) {
		t.Fatalf("no context yet: %v", err)
	}
	want := &contexts.Context{
		Name: "a.b-1", Addrs: []string{"127.0.0.1:7420", "[::1]:7420"},
		CertsDir: "/a \"b\"\\\t\x7f/ü", User: "maia", Account: "acme", Bucket: "stars",
	}
	if err := contexts.Write(home, want); err != nil {
		t.Fatal(err)
	}
	if got, err := contexts.Read(home, "a.b-1"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for path, mode := range map[string]os.FileMode{home: 0o700, contexts.Path(home, "a.b-1"): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", path, st.Mode(), err, mode)
		}
	}
	if err := contexts.SetCurrent(home, "other"); !errors.Is(err, contexts.ErrNotFound) {
		t.Errorf("made current what is not there: %v", err)
	}
	if err := contexts.SetCurrent(home, "a.b-1"); err != nil {
		t.Fatal(err)
	}
	if got, err := contexts.Read(home, ""); err != nil || got.Name != "a.b-1" {
		t.Fatalf("the current one is %+v, %v", got, err)
	}
	if names, err := contexts.List(home); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	if err := contexts.Remove(home, "a.b-1"); err != nil {
		t.Fatal(err)
	}
	if current, err := contexts.Current(home); current != "" || err != nil {
		t.Errorf("removed, and current is %q, %v", current, err)
	}
	if err := contexts.Remove(home, "a.b-1"); !errors.Is(err, contexts.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// TestFilesOfPeople: what people write by hand is read as TOML, other settings are skipped, and faults name the file.
func TestFilesOfPeople(t *testing.T) {
	home := t.TempDir()
	put := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(home, "contexts"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(contexts.Path(home, "x"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("# mine\naddr = ' a:1 , b:2,'\nbucket = 7\noutput = 'json'\n")
	got, err := contexts.Read(home, "x")
	if err != nil || len(got.Addrs) != 2 || got.Addrs[1] != "b:2" || got.Bucket != "7" || got.User != contexts.DefaultUser {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, text := range []string{
		"", "addr = ''", "addr = 1", "addr = 'a:1'\nbucket = 1.5", "addr = 'a:1", "addr = 'a:1'\ncerts-dir = 'relative'",
		"addr = 'a b:1'", strings.Repeat("#", 64<<10+1),
	} {
		put(text)
		if _, err := contexts.Read(home, "x"); !errors.Is(err, contexts.ErrInvalid) || !strings.Contains(err.Error(), "x.toml") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for _, name := range []string{"../x", "a/b", ".x", strings.Repeat("x", 65), "a b"} {
		if _, err := contexts.Read(home, name); !errors.Is(err, contexts.ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
		if err := contexts.Write(home, &contexts.Context{Name: name, Addrs: []string{"a:1"}}); !errors.Is(err, contexts.ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func Example() {
	home, err := os.MkdirTemp("", "contexts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	// What "pleiades node start" does; home is contexts.Home(os.LookupEnv) in a program.
	local := &contexts.Context{Name: "local", Addrs: []string{"127.0.0.1:7420"}, CertsDir: "/srv/pleiades/certs"}
	if err := contexts.Write(home, local); err != nil {
		fmt.Println(err)
		return
	}
	if err := contexts.SetCurrent(home, "local"); err != nil {
		fmt.Println(err)
		return
	}
	current, err := contexts.Read(home, "")
	fmt.Println(current.Name, current.Addrs, current.CertsDir, current.User, err)
	// Output: local [127.0.0.1:7420] /srv/pleiades/certs root <nil>
}
