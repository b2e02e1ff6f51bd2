package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/linxGnu/grocksdb"
)

// TestNativeLayout compares what is read through the mirrors of C structures with the C API.
func TestNativeLayout(t *testing.T) {
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	mustPut(t, e, s, Sync, "k", "v")
	ro := grocksdb.NewDefaultReadOptions()
	defer ro.Destroy()
	got, err := e.db.GetCF(ro, s.cf, []byte("k"))
	if err != nil || string(got.Data()) != "v" {
		t.Fatalf("the C API reads %v, %v", got, err)
	}
	got.Free()
	wantGet(t, s, "k", "v")
	b := e.NewBatch()
	defer b.Close()
	for range 3 {
		if err := b.Put(s, []byte("k"), []byte("w")); err != nil {
			t.Fatal(err)
		}
	}
	seq, err := e.writeRep((&committer{e: e, group: []*request{{b: b}}}).representation(3), true)
	if err != nil {
		t.Fatal(err)
	}
	if want := e.db.GetLatestSequenceNumber(); seq != want {
		t.Fatalf("the write reports sequence %d, the C API %d", seq, want)
	}
	if lib := Library(); !strings.HasPrefix(lib.Version, "7.8.") {
		t.Fatalf("library %+v", lib)
	}
}

func TestOpenTellsDirectoriesApart(t *testing.T) {
	_, err := Open("", nil)
	wantErr(t, err, ErrInvalid)
	missing := filepath.Join(t.TempDir(), "a", "b")
	_, err = Open(missing, &Options{ErrorIfMissing: true})
	wantErr(t, err, ErrNoStore)
	empty := t.TempDir()
	_, err = Open(empty, &Options{ErrorIfMissing: true})
	wantErr(t, err, ErrNoStore)

	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "CURRENT"), []byte("MANIFEST-000001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(foreign, nil)
	wantErr(t, err, ErrNotAStore)
	if entries, _ := os.ReadDir(foreign); len(entries) != 1 {
		t.Fatalf("opening a foreign directory left %v in it", entries)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(file, nil)
	wantErr(t, err, ErrNotAStore)
	_, err = Open(t.TempDir(), &Options{MaxShards: -1, Compression: "brotli"})
	wantErr(t, err, ErrInvalid)
	for _, want := range []string{"MaxShards", "Compression"} {
		if !strings.Contains(err.Error(), want) {
			t.Fatalf("%v does not name %s", err, want)
		}
	}
}

// TestOpenInUse: two processes, and one process twice.
func TestOpenInUse(t *testing.T) {
	dir := t.TempDir()
	cmd, out := startChild(t, "holder", dir)
	if !out.Scan() {
		t.Fatal("the child did not open the store")
	}
	_, err := Open(dir, smallOptions())
	wantErr(t, err, ErrInUse)
	if want := "pid " + strconv.Itoa(cmd.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Fatalf("%v does not name %s", err, want)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	e := openAt(t, dir, nil)
	_, err = Open(dir, smallOptions())
	wantErr(t, err, ErrInUse)
	mustShard(t, e, 1001)
}

func TestOpenFormatFile(t *testing.T) {
	golden := "PLEIADES 1\nengine rocksdb\ncrc32c 43186ffb\n"
	if got := string(appendFormatFile(nil)); got != golden {
		t.Fatalf("format file\n%s, want\n%s", got, golden)
	}
	if v, err := parseFormatFile([]byte(golden)); v != 1 || err != nil {
		t.Fatalf("parse: %d, %v", v, err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"magic":    {"PLEIADEX 1\n", ErrNotAStore},
		"empty":    {"", ErrNotAStore},
		"newer":    {"PLEIADES 2\nanything\n", ErrNewerFormat},
		"version":  {"PLEIADES x\n", ErrCorruption},
		"zero":     {"PLEIADES 0\n", ErrCorruption},
		"checksum": {strings.Replace(golden, "rocksdb", "rocksdc", 1), ErrCorruption},
		"cut":      {golden[:len(golden)-1], ErrCorruption},
		"no sum":   {"PLEIADES 1\nengine rocksdb\n", ErrCorruption},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e, err := Open(dir, smallOptions())
			if err != nil {
				t.Fatal(err)
			}
			closeClean(t, e)
			if err := os.WriteFile(filepath.Join(dir, formatFileName), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, smallOptions())
			wantErr(t, err, c.want)
		})
	}
}

// TestOpenUnfinishedCreation: a crash at any point of making a store leaves a directory that opens.
func TestOpenUnfinishedCreation(t *testing.T) {
	for _, left := range [][]string{
		{lockFileName},
		{lockFileName, newMarkerName + ".tmp123"},
		{lockFileName, newMarkerName},
		{lockFileName, newMarkerName, "CURRENT", "MANIFEST-000001", "000004.log", markFileName},
	} {
		t.Run(fmt.Sprint(len(left)), func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range left {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			e := openAt(t, dir, nil)
			mustPut(t, e, mustShard(t, e, 1001), Sync, "k", "v")
			closeClean(t, e)
			e = openAt(t, dir, nil)
			wantGet(t, mustShard(t, e, 1001), "k", "v")
		})
	}
}

// TestOpenReadOnlyDirectory needs a user other than root or a read-only mount; root ignores modes,
// so it mounts one.
func TestOpenReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		mountTmpfs(t, dir, "size=32m")
		e, err := Open(filepath.Join(dir, "s"), smallOptions())
		if err != nil {
			t.Fatal(err)
		}
		closeClean(t, e)
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Skipf("no read-only remount here: %v", err)
		}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(dir, "s"), smallOptions())
	wantErr(t, err, ErrPermission)
	_, err = Open(filepath.Join(dir, "new"), smallOptions())
	wantErr(t, err, ErrPermission)
}

// mountTmpfs mounts a small file system on dir until the test ends, or skips the test.
func mountTmpfs(t *testing.T, dir, data string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, data); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// TestCloseReportsLeaks: a forgotten iterator is named, and the engine ends with it.
func TestCloseReportsLeaks(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	s := mustShard(t, e, 1001)
	mustPut(t, e, s, Sync, "k", "v")
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	err = e.Close()
	wantErr(t, err, ErrLeaked)
	for _, want := range []string{"1 iterator", "1 snapshot"} {
		if !strings.Contains(err.Error(), want) {
			t.Fatalf("%v does not name %s", err, want)
		}
	}
	if !it.First() || string(it.Value()) != "v" {
		t.Fatal("the iterator stopped working before its own close")
	}
	_, err = s.Get(nil, []byte("k"), nil)
	wantErr(t, err, ErrClosed)
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	snap.Close()
	<-e.destroyed
	e = openAt(t, dir, nil)
	wantGet(t, mustShard(t, e, 1001), "k", "v")
}

// TestCertificatesMayComeFirst: the node's certificates lie in the store's directory, and may be made
// before the store. An unfinished creation that starts over leaves them alone.
func TestCertificatesMayComeFirst(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(certs, "ca.crt"), filepath.Join(dir, newMarkerName)} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openAt(t, dir, nil)
	if _, err := os.Stat(filepath.Join(certs, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(certs, "ca.crt")), os.Remove(certs)); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.Mkdir(filepath.Join(other, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	openAt(t, other, nil) // without a marker
}

// TestNewStoreIsItsOwnersAlone: others may not read the values in its files.
func TestNewStoreIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	openAt(t, dir, nil)
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", st.Mode(), err)
	}
}
