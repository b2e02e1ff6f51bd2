package keys_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
)

// sentinels names the typed errors, so that scenarios pin the type and not only the words.
var sentinels = []struct {
	name   string
	err    error
	marker error
}{
	{"ErrEmptyKey", keys.ErrEmptyKey, base.ErrInvalid},
	{"ErrKeyTooLong", keys.ErrKeyTooLong, base.ErrInvalid},
	{"ErrInvalidBucket", keys.ErrInvalidBucket, base.ErrInvalid},
	{"ErrTruncated", keys.ErrTruncated, base.ErrCorruption},
	{"ErrNotData", keys.ErrNotData, base.ErrCorruption},
	{"ErrStoredBucket", keys.ErrStoredBucket, base.ErrCorruption},
	{"ErrStoredKeyLength", keys.ErrStoredKeyLength, base.ErrCorruption},
	{"ErrBadEscape", keys.ErrBadEscape, base.ErrCorruption},
	{"ErrNoTerminator", keys.ErrNoTerminator, base.ErrCorruption},
	{"ErrUnknownDelimiter", keys.ErrUnknownDelimiter, base.ErrCorruption},
	{"ErrUnknownTag", keys.ErrUnknownTag, base.ErrCorruption},
}

// errorName returns the sentinel's name and fails unless exactly one matches, with its marker.
func errorName(t *testing.T, err error) string {
	t.Helper()
	name := ""
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			if name != "" || !errors.Is(err, s.marker) {
				t.Fatalf("%v matches %s besides %q, or not its marker", err, s.name, name)
			}
			name = s.name
		}
	}
	if name == "" {
		t.Fatalf("untyped error: %v", err)
	}
	return name
}

// TestScenarios runs testdata/*.txt. Keys in them are Go string literals.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "encode":
				return encodeLines(t, d)
			case "parse":
				return parseLines(t, d)
			case "sort":
				return sortLines(t, d)
			case "bounds":
				return boundsLines(t, d)
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

func unquote(t *testing.T, s string) []byte {
	t.Helper()
	u, err := strconv.Unquote(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return []byte(u)
}

func lines(d *datadriven.TestData) []string {
	if d.Input == "" {
		return nil
	}
	return strings.Split(d.Input, "\n")
}

func bucketArg(t *testing.T, d *datadriven.TestData) keys.BucketID {
	bucket := uint64(keys.DefaultBucket)
	d.MaybeScanArgs(t, "bucket", &bucket)
	return keys.BucketID(bucket)
}

// encodeLines prints the stem of each key.
func encodeLines(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	for _, line := range lines(d) {
		key := unquote(t, line)
		if err := keys.Validate(key); err != nil {
			fmt.Fprintf(&out, "%s: %s\n", errorName(t, err), err)
			continue
		}
		fmt.Fprintf(&out, "%x\n", keys.AppendStem(nil, bucketArg(t, d), key))
	}
	return out.String()
}

// parseLines parses hex, in which blanks are ignored.
func parseLines(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	for _, line := range lines(d) {
		stored, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
		r, err := keys.Parse(nil, stored)
		if err != nil {
			fmt.Fprintf(&out, "%s: %s\n", errorName(t, err), err)
			continue
		}
		fmt.Fprintf(&out, "bucket=%d key=%q kind=%s slot=%d suffix=%q pretty=%s\n",
			r.Bucket, r.Key, r.Kind, r.Slot, []byte{r.Delimiter, r.Tag}, keys.Pretty(stored))
	}
	return out.String()
}

// sortLines writes a few records of each key and prints all of them in byte order.
func sortLines(t *testing.T, d *datadriven.TestData) string {
	var stored [][]byte
	for _, line := range lines(d) {
		key, b := unquote(t, line), bucketArg(t, d)
		stored = append(stored, keys.AppendLatest(nil, b, key), keys.AppendSlot(nil, b, key, 46),
			keys.AppendSlot(nil, b, key, 254), keys.AppendDescriptor(nil, b, key), keys.AppendSlot(nil, b, key, 1))
	}
	slices.SortFunc(stored, bytes.Compare)
	var out strings.Builder
	for _, s := range stored {
		fmt.Fprintln(&out, keys.Pretty(s))
	}
	return out.String()
}

// boundsLines prints bounds, one range a line: "key K", "prefix P", "range START END" (END may be
// nil), "bucket", "namespace N".
func boundsLines(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	b := bucketArg(t, d)
	for _, line := range lines(d) {
		f := strings.Fields(line)
		var s keys.Bounds
		switch f[0] {
		case "key":
			s = keys.KeyBounds(b, unquote(t, f[1]))
		case "prefix":
			s = keys.PrefixBounds(b, unquote(t, f[1]))
		case "bucket":
			s = keys.BucketBounds(b)
		case "namespace":
			s = keys.NamespaceBounds(keys.Namespace(f[1][0]))
		case "range":
			var end []byte
			if f[2] != "nil" {
				end = unquote(t, f[2])
			}
			s = keys.RangeBounds(b, unquote(t, f[1]), end)
		default:
			d.Fatalf(t, "unknown bounds %q", f[0])
		}
		fmt.Fprintf(&out, "[%x, %x) empty=%t\n", s.Lower, s.Upper, s.Empty())
	}
	return out.String()
}
