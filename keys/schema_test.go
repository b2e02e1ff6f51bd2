package keys_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/keys"
)

// schemaRow is one example of a key, in named fields.
type schemaRow struct {
	family string
	name   string
	fields []schemaField
}

type schemaField struct {
	name  string
	bytes []byte
}

func (r schemaRow) key() []byte {
	var key []byte
	for _, f := range r.fields {
		key = append(key, f.bytes...)
	}
	return key
}

// dataRow cuts a data key that this package encoded into its fields.
func dataRow(name string, stored []byte) schemaRow {
	end := len(stored) - keys.SuffixBytes
	return schemaRow{"shard", name, []schemaField{
		{"ns", stored[:1]},
		{"bucket", stored[1:9]},
		{"key", stored[9 : end-1]},
		{"end", stored[end-1 : end]},
		{"delim", stored[end : end+1]},
		{"tag", stored[end+1:]},
	}}
}

// TestKeyspaceSchema pins the whole keyspace. A changed line means that stores written by earlier
// versions can't be read: read the diff of -rewrite with that in mind.
func TestKeyspaceSchema(t *testing.T) {
	maia := []byte("maia")
	metaBucket := keys.AppendBucketSettings(nil, 1)
	shard := keys.AppendLocalShard(nil, 1001)
	index := []byte{0, 0, 0, 0, 0, 0, 0, 42}
	one := func(name string, b byte) schemaField { return schemaField{name, []byte{b}} }
	id := []byte{0, 0, 0, 0, 0, 0, 3, 0xe9}
	session := []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0brand")
	meta := func(name string, kind byte, fields ...schemaField) schemaRow {
		return schemaRow{"shard", name, append([]schemaField{one("ns", byte(keys.NamespaceMeta)), one("kind", kind)}, fields...)}
	}
	counted := keys.AppendCountedMark(nil)
	rows := []schemaRow{
		{"default", "settings of the node", []schemaField{one("ns", keys.LocalSettings)}},
		{"default", "bound of the clock", []schemaField{one("ns", keys.LocalClockBound)}},
		{"default", "identity of the node", []schemaField{one("ns", keys.LocalIdentity)}},
		{"default", "progress of an unfinished load", []schemaField{one("ns", keys.LocalLoad)}},
		{"default", "live incarnation of shard 1001", []schemaField{{"ns", shard[:1]}, {"shard", shard[1:]}}},

		dataRow(`descriptor of "maia"`, keys.AppendDescriptor(nil, 1, maia)),
		dataRow(`reserved general tag "x"`, keys.AppendTag(nil, 1, maia, 'x')),
		dataRow("slot 1", keys.AppendSlot(nil, 1, maia, keys.MinSlot)),
		dataRow("slot 254", keys.AppendSlot(nil, 1, maia, keys.MaxSlot)),
		dataRow("latest version", keys.AppendLatest(nil, 1, maia)),
		dataRow(`latest version of "maia\x00"`, keys.AppendLatest(nil, 1, []byte("maia\x00"))),
		dataRow(`latest version of "maia\x00\xff"`, keys.AppendLatest(nil, 1, []byte("maia\x00\xff"))),
		dataRow(`latest version of "maia!"`, keys.AppendLatest(nil, 1, []byte("maia!"))),
		dataRow(`descriptor of "\xff"`, keys.AppendDescriptor(nil, 1, []byte{0xff})),
		dataRow(`bucket 2, descriptor of "\x00"`, keys.AppendDescriptor(nil, 2, []byte{0})),
		dataRow(`last bucket, descriptor of "a"`, keys.AppendDescriptor(nil, keys.MaxBucket, []byte("a"))),

		{"shard", "applied index (replication)", []schemaField{one("ns", byte(keys.NamespaceMeta)), one("kind", 'a')}},
		{"shard", "settings of bucket 1", []schemaField{
			{"ns", metaBucket[:1]}, {"kind", metaBucket[1:2]}, {"bucket", metaBucket[2:]},
		}},
		meta("account 1001 in the catalog", 'c', one("of", 'a'), schemaField{"id", id}),
		meta("bucket 1001 in the catalog", 'c', one("of", 'b'), schemaField{"id", id}),
		meta("what a data shard knows of account 1001", 'g', one("of", 'a'), schemaField{"id", id}),
		meta("what a data shard knows of bucket 1001", 'g', one("of", 'b'), schemaField{"id", id}),
		meta("next ids of accounts and buckets", 'i'),
		meta("session", 's', schemaField{"session", session}),
		meta("outcome of write 42 of the session", 's', schemaField{"session", session}, schemaField{"sequence", index}),
		meta("time of the state machine", 't'),
		meta("counters of account 1001", 'u', one("of", 'a'), schemaField{"id", id}),
		meta("counters of bucket 1001", 'u', one("of", 'b'), schemaField{"id", id}),
		{"shard", "mark of right counters", []schemaField{{"ns", counted[:1]}, {"kind", counted[1:]}}},
		{"shard", "log entry 42 (replication)", []schemaField{
			one("ns", byte(keys.NamespaceRaft)), one("kind", 'l'), {"index", index},
		}},
		{"shard", "last purged log id (replication)", []schemaField{one("ns", byte(keys.NamespaceRaft)), one("kind", 'p')}},
		{"shard", "snapshot metadata (replication)", []schemaField{
			one("ns", byte(keys.NamespaceRaft)), one("kind", 's'), one("tag", 'm'),
		}},
		{"shard", "vote (replication)", []schemaField{one("ns", byte(keys.NamespaceRaft)), one("kind", 'v')}},
	}
	slices.SortStableFunc(rows, func(a, b schemaRow) int {
		if c := strings.Compare(a.family, b.family); c != 0 {
			return c
		}
		return bytes.Compare(a.key(), b.key())
	})
	var got strings.Builder
	for i, row := range rows {
		if i == 0 || rows[i-1].family != row.family {
			fmt.Fprintf(&got, "family %s\n", row.family)
		}
		fmt.Fprintf(&got, "  %s\n   ", row.name)
		for _, f := range row.fields {
			fmt.Fprintf(&got, " %s=%x", f.name, f.bytes)
		}
		got.WriteByte('\n')
		if row.family == "shard" {
			fmt.Fprintf(&got, "    %s\n", keys.Pretty(row.key()))
		}
	}
	datadriven.RunTest(t, "testdata/keyspace.golden", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd != "keyspace" {
			d.Fatalf(t, "unknown command %q", d.Cmd)
		}
		return got.String()
	})
}

// TestNamespacesAreDisjoint holds the promise that a record in the wrong family is recognised.
func TestNamespacesAreDisjoint(t *testing.T) {
	seen := map[byte]bool{}
	for _, ns := range []byte{
		byte(keys.NamespaceData), byte(keys.NamespaceMeta), byte(keys.NamespaceRaft),
		keys.LocalSettings, keys.LocalClockBound, keys.LocalIdentity, keys.LocalLoad, keys.LocalShard,
	} {
		if seen[ns] {
			t.Errorf("namespace %q is used twice", ns)
		}
		seen[ns] = true
	}
}
