package versioning

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
)

var codecStamp = hlc.Timestamp{WallNanos: 0x0102030405060708, Logical: 9}

func goldenDescriptors() map[string]descriptor {
	first := descriptor{count: 1, oldest: 1, created: codecStamp, revision: codecStamp, latestBytes: 4, writtenBytes: 4}
	full := descriptor{
		count: 255, oldest: 7, base: 253, created: codecStamp, revision: codecStamp.Next(), vacuumable: true,
		latestBytes: 4, writtenBytes: 1 << 40, expires: 0x1112131415161718, unknown: "\xF2\x01\x05hello",
	}
	gone := descriptor{count: 2, oldest: 1, created: codecStamp, revision: codecStamp.Next(), deleted: true, writtenBytes: 4}
	return map[string]descriptor{"1 first put": first, "2 everything": full, "3 deleted": gone}
}

func TestDescriptorSettingsAndTokenGolden(t *testing.T) {
	var out strings.Builder
	var pb storagev1.KeyValuePairDescriptor
	all := goldenDescriptors()
	for _, name := range []string{"1 first put", "2 everything", "3 deleted"} {
		d := all[name]
		b, err := appendDescriptor([]byte("before"), &d, &pb)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.TrimPrefix(b, []byte("before"))
		fmt.Fprintf(&out, "descriptor %s\n  %x\n", name, b)
		if got, err := parseDescriptor(b); err != nil || got != d {
			t.Errorf("%x: %+v, %v; want %+v", b, got, err, d)
		}
	}
	for _, s := range []Settings{DefaultSettings(), {MaxVersions: 10, Rollover: Refuse, Updated: codecStamp}} {
		b, err := appendSettings(nil, s, "\xF2\x01\x05hello")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "settings %d %v\n  %x\n", s.MaxVersions, s.Rollover, b)
		if got, unknown, err := parseSettings(b); err != nil || got != s || unknown != "\xF2\x01\x05hello" {
			t.Errorf("%x: %+v, %q, %v; want %+v", b, got, unknown, err, s)
		}
	}
	for _, tok := range []token{{bucket: 1, key: []byte("Maia")}, {bucket: 7, reverse: true, at: codecStamp, key: []byte{0}}} {
		b := appendToken(nil, tok)
		fmt.Fprintf(&out, "token of bucket %d, reverse %t, behind %q\n  %x\n", tok.bucket, tok.reverse, tok.key, b)
		got, err := parseToken(b)
		if err != nil || got.bucket != tok.bucket || got.reverse != tok.reverse || got.at != tok.at || !bytes.Equal(got.key, tok.key) {
			t.Errorf("%x: %+v, %v; want %+v", b, got, err, tok)
		}
	}
	const path = "testdata/codec.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Fatalf("%s differs (UPDATE_GOLDEN=1 accepts it, and breaks every store on disk):\n%s", path, out.String())
	}
}

func TestDescriptorErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*storagev1.KeyValuePairDescriptor)
		want   error
	}{
		{"no format", func(d *storagev1.KeyValuePairDescriptor) { d.Format = 0 }, ErrDescriptor},
		{"newer", func(d *storagev1.KeyValuePairDescriptor) { d.Format = 2 }, ErrDescriptorFormat},
		{"no versions", func(d *storagev1.KeyValuePairDescriptor) { d.VersionCount = 0 }, ErrDescriptor},
		{"too many versions", func(d *storagev1.KeyValuePairDescriptor) { d.VersionCount = 256 }, ErrDescriptor},
		{"no oldest", func(d *storagev1.KeyValuePairDescriptor) { d.Oldest = 0 }, ErrDescriptor},
		{"oldest above", func(d *storagev1.KeyValuePairDescriptor) { d.Oldest = 3 }, ErrDescriptor},
		{"base", func(d *storagev1.KeyValuePairDescriptor) { d.Base = 254 }, ErrDescriptor},
		{"created", func(d *storagev1.KeyValuePairDescriptor) { d.CreatedWallNanos, d.CreatedLogical = 0, 0 }, ErrDescriptor},
		{"created before 1970", func(d *storagev1.KeyValuePairDescriptor) { d.CreatedWallNanos = -1 }, ErrDescriptor},
		{"revision", func(d *storagev1.KeyValuePairDescriptor) { d.RevisionWallNanos = 0 }, ErrDescriptor},
		{"bytes", func(d *storagev1.KeyValuePairDescriptor) { d.LatestBytes = 1 << 63 }, ErrDescriptor},
		{"written", func(d *storagev1.KeyValuePairDescriptor) { d.WrittenBytes = 0 }, ErrDescriptor},
		{"expires", func(d *storagev1.KeyValuePairDescriptor) { d.ExpiresWallNanos = 1 << 63 }, ErrDescriptor},
		{"deleted with data", func(d *storagev1.KeyValuePairDescriptor) { d.Deleted = true }, ErrDescriptor},
	} {
		pb := storagev1.KeyValuePairDescriptor{
			Format: 1, VersionCount: 2, Oldest: 1, CreatedWallNanos: 5, RevisionWallNanos: 6, LatestBytes: 4, WrittenBytes: 8,
		}
		c.change(&pb)
		stored, err := pb.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := parseDescriptor(stored); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", c.name, d, err, c.want)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	for _, c := range []struct {
		pb   *storagev1.BucketSettings
		want error
	}{
		{&storagev1.BucketSettings{}, ErrSettings},
		{&storagev1.BucketSettings{Format: 2, MaxVersions: 1, Rollover: 1}, ErrSettingsFormat},
		{&storagev1.BucketSettings{Format: 1, MaxVersions: 0, Rollover: 1}, ErrSettings},
		{&storagev1.BucketSettings{Format: 1, MaxVersions: 256, Rollover: 1}, ErrSettings},
		{&storagev1.BucketSettings{Format: 1, MaxVersions: 1, Rollover: 0}, ErrSettings},
		{&storagev1.BucketSettings{Format: 1, MaxVersions: 1, Rollover: 257}, ErrSettings},
		{&storagev1.BucketSettings{Format: 1, MaxVersions: 1, Rollover: -1}, ErrSettings},
	} {
		stored, err := c.pb.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if s, _, err := parseSettings(stored); !errors.Is(err, c.want) {
			t.Errorf("%v: %+v, %v; want %v", c.pb, s, err, c.want)
		}
	}
}

func TestDamagedTokens(t *testing.T) {
	whole := appendToken(nil, token{bucket: 1, at: codecStamp, key: []byte("Maia")})
	for n := range len(whole) {
		if tok, err := parseToken(whole[:n]); !errors.Is(err, ErrBadToken) {
			t.Errorf("the first %d bytes: %+v, %v", n, tok, err)
		}
	}
	for bit := range 8 * len(whole) {
		damaged := bytes.Clone(whole)
		damaged[bit/8] ^= 1 << (bit % 8)
		want := ErrBadToken
		if bit < 8 {
			want = ErrTokenVersion
		}
		if tok, err := parseToken(damaged); !errors.Is(err, want) {
			t.Errorf("bit %d: %+v, %v", bit, tok, err)
		}
	}
}

func FuzzParseDescriptor(f *testing.F) {
	var pb storagev1.KeyValuePairDescriptor
	for _, d := range goldenDescriptors() {
		b, err := appendDescriptor(nil, &d, &pb)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		d, err := parseDescriptor(stored)
		if err != nil {
			if !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := appendDescriptor(nil, &d, &pb)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseDescriptor(again); err != nil || got != d {
			t.Fatalf("%x decodes as %+v, then %x as %+v, %v", stored, d, again, got, err)
		}
	})
}

func FuzzParseSettings(f *testing.F) {
	b, err := appendSettings(nil, Settings{MaxVersions: 10, Rollover: Refuse, Updated: codecStamp}, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, stored []byte) {
		s, unknown, err := parseSettings(stored)
		if err != nil {
			if !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := appendSettings(nil, s, unknown)
		if err != nil {
			t.Fatal(err)
		}
		if got, more, err := parseSettings(again); err != nil || got != s || more != unknown {
			t.Fatalf("%x decodes as %+v, then as %+v, %v", stored, s, got, err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(appendToken(nil, token{bucket: 1, at: codecStamp, key: []byte("Maia")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := parseToken(b)
		if err != nil {
			if !errors.Is(err, ErrBadToken) && !errors.Is(err, ErrTokenVersion) {
				t.Fatalf("untyped error %v", err)
			}
		} else if again := appendToken(nil, tok); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes as %+v, which encodes as %x", b, tok, again)
		}
	})
}
